/**
 * What the wire layer throws: bytes that are no valid message, or a value that a message of that version cannot carry.
 * Every malformed input, however made, ends in this error and in nothing else; it is never retriable, because the same
 * bytes or the same value would fail again. The message names the message, its version and the place.
 */
import { MillraceError } from '../../base/index.ts'

export type ProtocolErrorCode = 'KAFKA_PROTOCOL' | 'KAFKA_VERSION_UNSUPPORTED'

export class ProtocolError extends MillraceError {
  override readonly name: string = 'ProtocolError'
  declare readonly code: ProtocolErrorCode

  constructor(message: string, code: ProtocolErrorCode = 'KAFKA_PROTOCOL') {
    super(code, message)
  }
}
