/**
 * A key as something that a Map compares by value. Tuples become a text of their own that begins with a zero character; texts that
 * begin with one are marked too, so that no two keys meet.
 */
import { assert } from '../../base/index.ts'
import type { Key, KeyPart } from '../../core/index.ts'

export type PrimitiveKey = KeyPart

const MARK = '\0'

export function primitiveOf(key: Key): PrimitiveKey {
  if (typeof key === 'string') return key.charCodeAt(0) === 0 ? `${MARK}s${key}` : key
  return typeof key === 'object' ? tupleText(key) : key
}

export function keyOf(primitive: PrimitiveKey): Key {
  if (typeof primitive !== 'string' || primitive.charCodeAt(0) !== 0) return primitive
  return primitive[1] === 's' ? primitive.slice(2) : tupleOf(primitive)
}

function tupleText(parts: readonly KeyPart[]): string {
  let text = `${MARK}t`
  for (const part of parts) {
    switch (typeof part) {
      case 'string':
        text += `s${part.length}:${part}`
        break
      case 'number':
        text += `n${part};`
        break
      case 'bigint':
        text += `i${part};`
        break
      case 'boolean':
        text += part ? 't' : 'f'
        break
      default:
        assert(false, `a key is made of strings, numbers, bigints and booleans, not of ${typeof part}`)
    }
  }
  return text
}

function tupleOf(text: string): KeyPart[] {
  const parts: KeyPart[] = []
  let at = 2
  while (at < text.length) {
    const kind = text[at++]
    if (kind === 't' || kind === 'f') {
      parts.push(kind === 't')
      continue
    }
    const end = text.indexOf(kind === 's' ? ':' : ';', at)
    const digits = text.slice(at, end)
    at = end + 1
    if (kind === 's') {
      parts.push(text.slice(at, at + Number(digits)))
      at += Number(digits)
    } else {
      parts.push(kind === 'n' ? Number(digits) : BigInt(digits))
    }
  }
  return parts
}
