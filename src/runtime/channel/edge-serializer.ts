/** A serializer that the job gives for an edge, with what it throws or answers wrongly told by the name of the operator. */
import { describeError, MillraceError } from '../../base/index.ts'
import type { RecordSerializer } from '../../core/index.ts'

export class EdgeSerializer implements RecordSerializer {
  readonly #serializer: RecordSerializer
  readonly #operatorName: string

  constructor(serializer: RecordSerializer, operatorName: string) {
    this.#serializer = serializer
    this.#operatorName = operatorName
  }

  serialize(value: unknown): Uint8Array {
    let bytes: unknown
    try {
      bytes = this.#serializer.serialize(value)
    } catch (cause) {
      throw this.#failed('SERIALIZATION_FAILED', `threw: ${describeError(cause)}`, cause)
    }
    if (bytes instanceof Uint8Array) return bytes
    throw this.#failed('SERIALIZATION_FAILED', `answered no Uint8Array but ${bytes === null ? 'null' : typeof bytes}`)
  }

  deserialize(bytes: Uint8Array): unknown {
    try {
      return this.#serializer.deserialize(bytes)
    } catch (cause) {
      throw this.#failed('DESERIALIZATION_FAILED', `threw in deserialize: ${describeError(cause)}`, cause)
    }
  }

  #failed(code: 'SERIALIZATION_FAILED' | 'DESERIALIZATION_FAILED', what: string, cause?: unknown): MillraceError {
    return new MillraceError(code, `the serializer of what operator "${this.#operatorName}" emits ${what}`, { cause })
  }
}
