/**
 * The bytes of keyed state in a checkpoint. A part holds some blocks, each of one state and one key group, so that a job restored
 * at another parallelism reads only what is its own.
 *
 * KEYED_VERSION_1: u32 (little-endian) length of the index, the index, zeros up to a multiple of 8, then the blocks, each at a
 * multiple of 8. The index is JSON: `{"maxParallelism":…,"states":[[kind,name],…],"blocks":[[state,group,at,length,entries],…]}`,
 * `at` counted from the first block. A block (BlockWriter's VERSION_1) holds for each entry its key and
 *
 *     value   the value
 *     list    an array
 *     map     a Map
 *     event-timers, processing-timers   a bare number, the time; their name is empty
 */
import { MillraceError } from '../../base/index.ts'
import type { KeyedPart } from './hosted-state.ts'

export const KEYED_VERSION_1 = 1

export type StoredKind = 'value' | 'list' | 'map' | 'event-timers' | 'processing-timers'

export interface StoredBlock {
  readonly kind: StoredKind
  readonly name: string
  readonly group: number
  readonly entries: number
  readonly bytes: Uint8Array
}

interface Index {
  readonly maxParallelism: number
  readonly states: readonly (readonly [kind: StoredKind, name: string])[]
  readonly blocks: readonly (readonly [state: number, group: number, at: number, length: number, entries: number])[]
}

/** Of blocks in the order of their groups. */
export function encodePart(maxParallelism: number, blocks: readonly StoredBlock[]): KeyedPart {
  const states: [StoredKind, string][] = []
  const numbers = new Map<string, number>()
  const places: [number, number, number, number, number][] = []
  let at = 0
  for (const { kind, name, group, entries, bytes } of blocks) {
    const id = `${kind} ${name}`
    let state = numbers.get(id)
    if (state === undefined) {
      state = states.push([kind, name]) - 1
      numbers.set(id, state)
    }
    places.push([state, group, at, bytes.byteLength, entries])
    at += align8(bytes.byteLength)
  }
  const index: Index = { maxParallelism, states, blocks: places }
  const json = Buffer.from(JSON.stringify(index))
  const begin = align8(4 + json.length)
  const bytes = Buffer.alloc(begin + at)
  bytes.writeUInt32LE(json.length, 0)
  bytes.set(json, 4)
  for (const [number, place] of places.entries()) {
    const block = blocks[number]
    if (block !== undefined) bytes.set(block.bytes, begin + place[2])
  }
  const [first, last] = [blocks[0], blocks.at(-1)]
  return { version: KEYED_VERSION_1, bytes, groups: [first?.group ?? 0, last?.group ?? 0] }
}

/** Throws STATE_INCOMPATIBLE, naming `where`, for a version that is not known and for another maximum parallelism. */
export function* decodePart(
  part: { readonly version: number; readonly bytes: Uint8Array },
  maxParallelism: number,
  where: string,
): Generator<StoredBlock> {
  if (part.version !== KEYED_VERSION_1) {
    throw new MillraceError(
      'STATE_INCOMPATIBLE',
      `the keyed state of ${where} has version ${part.version}, and this millrace knows ${KEYED_VERSION_1}`,
      { next: 'Nothing is lost; use the millrace that wrote it, or a newer one.' },
    )
  }
  const bytes = Buffer.from(part.bytes.buffer, part.bytes.byteOffset, part.bytes.byteLength)
  const length = bytes.readUInt32LE(0)
  const index = JSON.parse(bytes.toString('utf8', 4, 4 + length)) as Index
  if (index.maxParallelism !== maxParallelism) {
    throw new MillraceError(
      'STATE_INCOMPATIBLE',
      `the keyed state of ${where} was stored with a maximum parallelism of ${index.maxParallelism}, and the job has ` +
        `${maxParallelism}: keys would belong to other groups`,
      {
        next: `Nothing is lost. Set the maximum parallelism back to ${index.maxParallelism} (setMaxParallelism, pipeline.max-parallelism).`,
      },
    )
  }
  const begin = align8(4 + length)
  for (const [state, group, at, size, entries] of index.blocks) {
    const [kind, name] = index.states[state] ?? ['value', '']
    yield { kind, name, group, entries, bytes: bytes.subarray(begin + at, begin + at + size) }
  }
}

function align8(bytes: number): number {
  return (bytes + 7) & ~7
}
