/**
 * Deserializers in Kafka's own style: a class that is configured with properties and turns the bytes of a key or value into
 * something. The shipped ones read what Kafka's Java serializers of the same name write. A null value gives null.
 */
import { MillraceError } from '../../base/index.ts'
import type { RecordHeader } from '../../kafka/index.ts'

export type DeserializerConfig = Readonly<Record<string, string | number | boolean>>

export abstract class KafkaDeserializer<T> {
  configure?(config: DeserializerConfig, isKey: boolean): void
  abstract deserialize(topic: string, data: Buffer | null, headers: readonly RecordHeader[]): T | null
  close?(): void
}

export type KafkaDeserializerClass<T> = new () => KafkaDeserializer<T>

export class ByteArrayDeserializer extends KafkaDeserializer<Buffer> {
  deserialize(_topic: string, data: Buffer | null): Buffer | null {
    return data
  }
}

/** UTF-8, or the encoding that `value.deserializer.encoding`, `key.deserializer.encoding` or `deserializer.encoding` names. */
export class StringDeserializer extends KafkaDeserializer<string> {
  #decoder: InstanceType<typeof TextDecoder> | undefined

  /** Whether values are UTF-8, so that a reader may decode them itself. */
  get isUtf8(): boolean {
    return this.#decoder === undefined
  }

  override configure(config: DeserializerConfig, isKey: boolean): void {
    const encoding = config[`${isKey ? 'key' : 'value'}.deserializer.encoding`] ?? config['deserializer.encoding']
    if (encoding === undefined || /^utf-?8$/i.test(String(encoding))) return
    try {
      this.#decoder = new TextDecoder(String(encoding))
    } catch {
      throw new MillraceError('OPTION_INVALID', `StringDeserializer: the encoding "${String(encoding)}" is unknown`)
    }
  }

  deserialize(_topic: string, data: Buffer | null): string | null {
    if (data === null) return null
    return this.#decoder === undefined ? data.toString('utf8') : this.#decoder.decode(data)
  }
}

abstract class FixedSizeDeserializer<T> extends KafkaDeserializer<T> {
  protected abstract readonly size: number
  protected abstract read(data: Buffer): T

  deserialize(_topic: string, data: Buffer | null): T | null {
    if (data === null) return null
    if (data.length !== this.size) {
      throw new MillraceError(
        'DESERIALIZATION_FAILED',
        `${this.constructor.name} takes ${this.size} bytes, not ${data.length}`,
      )
    }
    return this.read(data)
  }
}

export class ShortDeserializer extends FixedSizeDeserializer<number> {
  protected readonly size = 2

  protected read(data: Buffer): number {
    return data.readInt16BE()
  }
}

export class IntegerDeserializer extends FixedSizeDeserializer<number> {
  protected readonly size = 4

  protected read(data: Buffer): number {
    return data.readInt32BE()
  }
}

export class LongDeserializer extends FixedSizeDeserializer<bigint> {
  protected readonly size = 8

  protected read(data: Buffer): bigint {
    return data.readBigInt64BE()
  }
}

export class FloatDeserializer extends FixedSizeDeserializer<number> {
  protected readonly size = 4

  protected read(data: Buffer): number {
    return data.readFloatBE()
  }
}

export class DoubleDeserializer extends FixedSizeDeserializer<number> {
  protected readonly size = 8

  protected read(data: Buffer): number {
    return data.readDoubleBE()
  }
}

export class BooleanDeserializer extends FixedSizeDeserializer<boolean> {
  protected readonly size = 1

  protected read(data: Buffer): boolean {
    const byte = data[0]
    if (byte === 0 || byte === 1) return byte === 1
    throw new MillraceError('DESERIALIZATION_FAILED', 'BooleanDeserializer takes a byte that is 0 or 1')
  }
}

/** Text of the usual form; checked. */
export class UUIDDeserializer extends KafkaDeserializer<string> {
  deserialize(_topic: string, data: Buffer | null): string | null {
    if (data === null) return null
    const text = data.toString('latin1')
    if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return text.toLowerCase()
    throw new MillraceError(
      'DESERIALIZATION_FAILED',
      `UUIDDeserializer: ${data.length} bytes are not the text of a UUID`,
    )
  }
}
