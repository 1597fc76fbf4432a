/**
 * Serialised forms of everything durable. Each form has a version; a reader accepts every version ever released, and the
 * golden bytes of each stay in the tests (Flink: SimpleVersionedSerializer).
 */
export interface VersionedSerializer<T> {
  /** The version that `serialize` writes. */
  readonly version: number
  serialize(value: T): Uint8Array
  /** Throws MillraceError STATE_INCOMPATIBLE for a version newer than its own or bytes that do not parse. */
  deserialize(version: number, bytes: Uint8Array): T
}

/** How the elements of a stream go between threads, when they are no plain data or there is a faster way. Not durable. */
export interface RecordSerializer<T = unknown> {
  serialize(value: T): Uint8Array
  deserialize(bytes: Uint8Array): T
}

/** Bytes together with the version of the serializer that wrote them. */
export interface VersionedBytes {
  readonly version: number
  readonly bytes: Uint8Array
}

export function serializeVersioned<T>(serializer: VersionedSerializer<T>, value: T): VersionedBytes {
  return { version: serializer.version, bytes: serializer.serialize(value) }
}

export function deserializeVersioned<T>(serializer: VersionedSerializer<T>, stored: VersionedBytes): T {
  return serializer.deserialize(stored.version, stored.bytes)
}
