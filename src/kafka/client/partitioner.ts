/**
 * Which partition a keyed record goes to: the same one that Java's default partitioner takes, so that producers in both
 * languages can share a topic and keyed reads find all records of a key. It is murmur2 (seed 0x9747b28c) over the bytes of
 * the serialized key, its sign bit cleared, modulo the number of partitions.
 *
 * Text keys are hashed over their UTF-8 bytes. ASCII text, the usual case, is hashed in place without encoding it.
 */

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** Java's `Utils.murmur2` of `bytes[start, end)` as a signed 32-bit number. */
export function murmur2(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const length = end - start
  let hash = SEED ^ length
  let at = start
  for (const last = start + (length & ~3); at < last; at += 4) {
    let word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    word = Math.imul(word, M)
    word = Math.imul(word ^ (word >>> 24), M)
    hash = Math.imul(hash, M) ^ word
  }
  const rest = length & 3
  if (rest > 0) {
    let tail = bytes[at] as number
    if (rest > 1) tail |= (bytes[at + 1] as number) << 8
    if (rest > 2) tail |= (bytes[at + 2] as number) << 16
    hash = Math.imul(hash ^ tail, M)
  }
  return finish(hash)
}

/** `murmur2` of the UTF-8 bytes of a text. */
export function murmur2OfText(text: string): number {
  const length = text.length
  let hash = SEED ^ length
  // Every character code seen, or-ed together: above 127 means that the text is not ASCII and its bytes are others.
  let seen = 0
  let at = 0
  for (const last = length & ~3; at < last; at += 4) {
    const a = text.charCodeAt(at)
    const b = text.charCodeAt(at + 1)
    const c = text.charCodeAt(at + 2)
    const d = text.charCodeAt(at + 3)
    seen |= a | b | c | d
    let word = a | (b << 8) | (c << 16) | (d << 24)
    word = Math.imul(word, M)
    word = Math.imul(word ^ (word >>> 24), M)
    hash = Math.imul(hash, M) ^ word
  }
  const rest = length & 3
  if (rest > 0) {
    let tail = 0
    for (let index = 0; index < rest; index++) {
      const code = text.charCodeAt(at + index)
      seen |= code
      tail |= code << (8 * index)
    }
    hash = Math.imul(hash ^ tail, M)
  }
  return seen < 0x80 ? finish(hash) : murmur2(Buffer.from(text, 'utf8'))
}

function finish(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}

/** The partition of a key among `count`; the key's bytes or its text. */
export function partitionOfKey(key: Uint8Array | string, count: number): number {
  return ((typeof key === 'string' ? murmur2OfText(key) : murmur2(key)) & 0x7fff_ffff) % count
}
