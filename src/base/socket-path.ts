/**
 * Where the Unix socket of a path stands: at the path itself, unless the system's limit on the length of such paths forbids it; then
 * in the folder for temporary files, under a name that everybody who asks for the same path finds.
 */
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Linux allows 108 bytes for the path of a Unix socket, macOS 104, both with the closing zero. */
const SOCKET_PATH_MAX = 100

export function socketPath(path: string): string {
  if (Buffer.byteLength(path) <= SOCKET_PATH_MAX) return path
  return join(tmpdir(), `millrace-${createHash('sha256').update(path).digest('hex').slice(0, 24)}.sock`)
}
