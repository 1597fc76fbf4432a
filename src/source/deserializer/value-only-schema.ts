/**
 * A schema that looks at nothing but the value, known to the reader as such: it then gets the value straight from the batch,
 * as text where the schema takes text, and no ConsumerRecord is made. Used like any record schema it does the same, slower.
 */
import { MillraceError } from '../../base/index.ts'
import type { Collector, DeserializationSchema, RuntimeContext } from '../../core/index.ts'
import type { ConsumerRecord } from './consumer-record.ts'

export class ValueOnlySchema<T> {
  readonly schema: DeserializationSchema<T>
  readonly name: string

  constructor(schema: DeserializationSchema<T>, name: string) {
    this.schema = schema
    this.name = name
  }

  async open(context: RuntimeContext): Promise<void> {
    await this.schema.open?.(context)
  }

  deserialize(record: ConsumerRecord, out: Collector<T>): void {
    if (record.value === null && this.schema.skipsNull === true) return
    const value = this.schema.deserialize(record.value)
    if (value !== undefined) out.collect(value)
  }

  toString(): string {
    return `valueOnly(${this.name})`
  }
}

/** A plain function as a schema: null values reach it, and a promise is an error. */
export class FunctionSchema<T> implements DeserializationSchema<T> {
  readonly #read: (bytes: Buffer | null) => T | undefined
  #checked = false

  constructor(read: (bytes: Buffer | null) => T | undefined) {
    this.#read = read
  }

  deserialize(bytes: Buffer | null): T | undefined {
    const value = this.#read(bytes)
    if (!this.#checked) {
      refusePromise(value)
      this.#checked = true
    }
    return value
  }
}

/** An asynchronous function answers with a promise every time, so looking at the first answer is enough. */
export function refusePromise(value: unknown): void {
  if (!(value instanceof Promise)) return
  value.catch(() => undefined)
  throw new MillraceError(
    'USER_FUNCTION_ASYNC',
    'the deserializer answered with a promise; it must be synchronous: do asynchronous work in an asyncMap behind the source',
  )
}
