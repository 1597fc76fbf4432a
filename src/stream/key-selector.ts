/**
 * The user's function that says what an element is grouped by, and the one that picks its subtask, with what they answer looked
 * at: what is no key would group nothing, and a subtask that does not exist would lose the element.
 */
import { describeError, MillraceError } from '../base/index.ts'
import type { Key, KeySelector } from '../core/index.ts'

export function checkedKeySelector(select: (value: never) => Key): KeySelector {
  return (value) => {
    let key: unknown
    try {
      key = select(value as never)
    } catch (error) {
      throw failed(`the function given to keyBy threw: ${describeError(error)}`, error)
    }
    switch (typeof key) {
      case 'string':
      case 'boolean':
      case 'bigint':
        return key
      case 'number':
        // 0 and -0 are equal and must not be two keys.
        return key === 0 ? 0 : key
      default:
        if (Array.isArray(key)) return checkedTuple(key)
        throw notAKey(key)
    }
  }
}

/** A tuple without -0 in it. */
function checkedTuple(parts: readonly unknown[]): Key {
  let zeros = false
  for (const part of parts) {
    if (part === 0) zeros = true
    else if (!isPart(part)) throw notAKey(part, ' in a tuple')
  }
  return (zeros ? parts.map((part) => (part === 0 ? 0 : part)) : parts) as Key
}

function isPart(value: unknown): boolean {
  const type = typeof value
  return type === 'string' || type === 'number' || type === 'bigint' || type === 'boolean'
}

export function checkedPartitioner<T, K>(
  partitioner: (key: K, partitions: number) => number,
  select: (value: T) => K,
): (value: unknown, partitions: number) => number {
  return (value, partitions) => {
    let subtask: unknown
    try {
      subtask = partitioner(select(value as T), partitions)
    } catch (error) {
      throw failed(`a function given to partitionCustom threw: ${describeError(error)}`, error)
    }
    if (Number.isInteger(subtask) && (subtask as number) >= 0 && (subtask as number) < partitions) {
      return subtask as number
    }
    const answer = typeof subtask === 'number' ? subtask : `a value of type ${typeof subtask}`
    throw failed(
      `the function given to partitionCustom answered ${answer}; it must be a whole number from 0 to ${partitions - 1}`,
    )
  }
}

function notAKey(key: unknown, where = ''): MillraceError {
  let what: string = typeof key
  if (key === null) what = 'null'
  else if (Array.isArray(key)) what = 'a tuple'
  else if (typeof key === 'object' && typeof (key as { then?: unknown }).then === 'function') what = 'a promise'
  return failed(
    `the function given to keyBy answered ${what}${where}; a key is a string, number, bigint or boolean, or a tuple of these`,
  )
}

function failed(message: string, cause?: unknown): MillraceError {
  return new MillraceError('USER_FUNCTION_FAILED', message, {
    cause,
    next: 'The task fails and the restart strategy decides. Nothing is lost: the element is read again after a restore.',
  })
}
