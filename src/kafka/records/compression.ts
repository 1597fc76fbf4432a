/**
 * The four codecs of record batches, synchronous, because a batch is read and written inside one turn of a mailbox.
 *
 * gzip and zstd are Node's own; snappy and lz4 come from native packages with prebuilt binaries, loaded when the first batch
 * needs them. Measured on 1 MB of JSON, compress/decompress in MB/s: gzip 95/1100, zstd 330/1290, snappy 740/800 (snappyjs
 * 176/236, wasm 590/610), lz4 650/1680 (lz4js 165/200, wasm 380/450). The wasm forms never give memory back.
 *
 * What always holds: no more than `bytesMax` bytes come out, and that is known before memory is taken for them.
 */
import { createRequire } from 'node:module'
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { MillraceError, unreachable } from '../../base/index.ts'
import { fromLz4Frame, type Lz4Codec, toLz4Frame } from './lz4-frame.ts'
import { fromSnappyBlocks, type SnappyCodec, toSnappyBlocks } from './snappy-blocks.ts'

export type CompressionCodec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** The codecs at the number that stands for them in the batch's attributes. */
export const COMPRESSION_CODECS: readonly CompressionCodec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Thrown by `decompress` when more would come out than was allowed. */
export class DecompressedTooLarge extends Error {
  override readonly name: string = 'DecompressedTooLarge'
}

let snappyCodec: SnappyCodec | null = null
let lz4Codec: Lz4Codec | null = null

/** `level` is for gzip (1 to 9) and zstd (-131072 to 22); the others have none. */
export function compress(codec: CompressionCodec, bytes: Buffer, level?: number): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes, level === undefined ? {} : { level })
    case 'zstd':
      return zstdCompressSync(
        bytes,
        level === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: level } },
      )
    case 'snappy':
      return toSnappyBlocks((snappyCodec ??= load<SnappyCodec>('snappy')), bytes)
    case 'lz4':
      return toLz4Frame((lz4Codec ??= load<Lz4Codec>('lz4-napi')), bytes)
    default:
      return unreachable(codec)
  }
}

/** Throws DecompressedTooLarge, NOT_SUPPORTED when a codec cannot be loaded, or whatever the codec says of malformed bytes. */
export function decompress(codec: CompressionCodec, bytes: Buffer, bytesMax: number): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
    case 'zstd':
      return unzip(codec === 'gzip' ? gunzipSync : zstdDecompressSync, bytes, bytesMax)
    case 'snappy':
      return fromSnappyBlocks((snappyCodec ??= load<SnappyCodec>('snappy')), bytes, bytesMax, tooLarge)
    case 'lz4':
      return fromLz4Frame((lz4Codec ??= load<Lz4Codec>('lz4-napi')), bytes, bytesMax, tooLarge)
    default:
      return unreachable(codec)
  }
}

const tooLarge = (): DecompressedTooLarge => new DecompressedTooLarge('decompressed bytes above the limit')

type Inflate = (bytes: Buffer, options: { maxOutputLength: number; chunkSize: number }) => Buffer

function unzip(inflate: Inflate, bytes: Buffer, bytesMax: number): Buffer {
  // One output chunk of about the right size saves joining 16 KB pieces: 1.1-1.3 GB/s instead of 0.4-0.8.
  const chunkSize = Math.max(1024, Math.min(bytesMax, bytes.length * 8, 1 << 20))
  try {
    return inflate(bytes, { maxOutputLength: bytesMax, chunkSize })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
    throw error
  }
}

function load<T>(packageName: string): T {
  try {
    return createRequire(import.meta.url)(packageName) as T
  } catch (cause) {
    const text = `the package ${packageName}, which this topic's compression needs, cannot be loaded on
 ${process.platform} ${process.arch}. Nothing is lost. Install millrace with its optional dependencies, or use gzip or zstd.`
    throw new MillraceError('NOT_SUPPORTED', text.replace('\n', ''), { cause })
  }
}
