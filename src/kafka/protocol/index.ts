/**
 * The wire protocol: a codec for every message in use, in every version, for both directions, and whole requests and
 * responses around them. `generated/` comes from Kafka's own definitions; README.md says how to make it anew.
 */
export { type AnyApi, type Api, type Codec, type Input, ZERO_UUID } from './api.ts'
export { type KafkaError, KafkaErrorCode, kafkaError } from './errors.ts'
export {
  apiByKey,
  decodeRequestBody,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  peekCorrelationId,
  type RequestFrame,
  type RequestIdentity,
} from './frame.ts'
export * from './generated/index.ts'
export { ProtocolError, type ProtocolErrorCode } from './protocol-error.ts'
export { ProtocolReader } from './protocol-reader.ts'
export { type BytesInput, ProtocolWriter } from './protocol-writer.ts'
