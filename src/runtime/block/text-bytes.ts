/**
 * Buffer's methods per encoding. Node has them in every release and its own `toString` and `write` end in them, but they are
 * missing from its types.
 */
export interface TextBytes extends Buffer<ArrayBuffer> {
  latin1Slice(start: number, end: number): string
  ucs2Slice(start: number, end: number): string
  utf8Slice(start: number, end: number): string
  /** They answer how many bytes they wrote. */
  latin1Write(text: string, offset: number): number
  ucs2Write(text: string, offset: number): number
  utf8Write(text: string, offset: number): number
}

export function textBytes(buffer: ArrayBuffer, byteOffset: number, length: number): TextBytes {
  return Buffer.from(buffer, byteOffset, length) as TextBytes
}
