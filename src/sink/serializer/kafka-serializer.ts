/**
 * Kafka-style serializers: a class of this base is given to `setKafkaKeySerializer` or `setKafkaValueSerializer`, with the
 * configuration that Java would give to `configure`. Shipped are Kafka's own for the simple types.
 */
export abstract class Serializer<T> {
  /** Called once in each subtask, before the first record. */
  configure(_config: Readonly<Record<string, unknown>>, _isKey: boolean): void {}

  /** Text is written as UTF-8; null is a null key or value. */
  abstract serialize(topic: string, data: T): Uint8Array | string | null

  close(): void | Promise<void> {}
}

export type SerializerClass<T> = new () => Serializer<T>

export class StringSerializer extends Serializer<string | null> {
  override serialize(_topic: string, data: string | null): string | null {
    return data
  }
}

export class ByteArraySerializer extends Serializer<Uint8Array | null> {
  override serialize(_topic: string, data: Uint8Array | null): Uint8Array | null {
    return data
  }
}

/** 32 bits, big endian. */
export class IntegerSerializer extends Serializer<number | null> {
  override serialize(_topic: string, data: number | null): Uint8Array | null {
    if (data === null) return null
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeInt32BE(data)
    return bytes
  }
}

/** 64 bits, big endian. */
export class LongSerializer extends Serializer<number | bigint | null> {
  override serialize(_topic: string, data: number | bigint | null): Uint8Array | null {
    if (data === null) return null
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeBigInt64BE(BigInt(data))
    return bytes
  }
}

/** IEEE 754 double, big endian. */
export class DoubleSerializer extends Serializer<number | null> {
  override serialize(_topic: string, data: number | null): Uint8Array | null {
    if (data === null) return null
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeDoubleBE(data)
    return bytes
  }
}
