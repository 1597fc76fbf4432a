/**
 * Channels of `node:diagnostics_channel` on which the client tells what it does, for tracing and for looking closely. While
 * nobody listens no message is made. Messages name brokers, APIs and sizes, never what is in a record or a secret.
 */
import { type Channel, channel } from 'node:diagnostics_channel'

/** `millrace:kafka:connection`: a connection was made, or ended. */
export interface ConnectionMessage {
  readonly event: 'opened' | 'closed'
  readonly clientId: string
  /** -1 before the broker's id is known, as with bootstrap servers. */
  readonly nodeId: number
  readonly host: string
  readonly port: number
  /** Of an end: whether this client wanted it, be it for idleness; else the broker or the network did. */
  readonly byClient?: boolean
  /** What the network said of it, if anything. */
  readonly error?: unknown
}

/** `millrace:kafka:request`: a request ended, with its answer or with an error. */
export interface RequestMessage {
  readonly clientId: string
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly api: string
  readonly version: number
  readonly correlationId: number
  readonly requestBytes: number
  /** 0 without an answer. */
  readonly responseBytes: number
  /** From the write to the network to the answer; 0 for a request that was not sent. */
  readonly latencyMs: number
  readonly error?: unknown
}

/** `millrace:kafka:retry`: something that may pass is tried again. */
export interface RetryMessage {
  readonly doing: string
  readonly attempt: number
  readonly delayMs: number
  readonly error: unknown
}

export const connectionChannel: Channel = channel('millrace:kafka:connection')
export const requestChannel: Channel = channel('millrace:kafka:request')
export const retryChannel: Channel = channel('millrace:kafka:retry')
