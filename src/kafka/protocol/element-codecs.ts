/**
 * The elements of arrays of primitive types, in the form in which the generated codecs hand them to
 * `ProtocolReader.array` and `ProtocolWriter.array`.
 */
import type { ProtocolReader } from './protocol-reader.ts'
import type { ProtocolWriter } from './protocol-writer.ts'

export const readBool = (reader: ProtocolReader): boolean => reader.bool()
export const readInt8 = (reader: ProtocolReader): number => reader.int8()
export const readInt16 = (reader: ProtocolReader): number => reader.int16()
export const readInt32 = (reader: ProtocolReader): number => reader.int32()
export const readInt64 = (reader: ProtocolReader): number => reader.int64()
export const readUuid = (reader: ProtocolReader): string => reader.uuid()
export const readString = (reader: ProtocolReader, _version: number, flexible: boolean): string =>
  reader.string(flexible)

export const writeBool = (writer: ProtocolWriter, value: boolean): void => writer.bool(value)
export const writeInt8 = (writer: ProtocolWriter, value: number): void => writer.int8(value)
export const writeInt16 = (writer: ProtocolWriter, value: number): void => writer.int16(value)
export const writeInt32 = (writer: ProtocolWriter, value: number): void => writer.int32(value)
export const writeInt64 = (writer: ProtocolWriter, value: number): void => writer.int64(value)
export const writeUuid = (writer: ProtocolWriter, value: string): void => writer.uuid(value)
export const writeString = (writer: ProtocolWriter, value: string, _version: number, flexible: boolean): void =>
  writer.string(value, flexible)
