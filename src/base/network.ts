/**
 * The network as a port: bytes in, bytes out, nothing about Kafka. The receiver supplies the buffers that arriving bytes
 * are put into, so that a large response is read straight into its final place without a copy.
 */

export interface NetworkReceiver {
  /** Where the next bytes go; at least one byte long. Called before every read. */
  buffer(): Uint8Array
  /** The first `count` bytes of the last `buffer()` are filled. */
  received(count: number): void
  /** The connection is gone, for good; called exactly once. `error` is absent when the peer closed in order. */
  closed(error?: Error): void
}

export interface NetworkConnection {
  /**
   * Sends the chunks in order. They must not be touched until the returned number of unsent bytes fell (`onDrain`).
   * Returns false when the peer is slow and the caller should wait for `drained` before it sends much more.
   */
  write(chunks: readonly Uint8Array[]): boolean
  /** Resolves when the bytes written so far are handed to the peer's side, or the connection is gone. */
  drained(): Promise<void>
  /** Stops and starts reading: back-pressure towards the peer. */
  pause(): void
  resume(): void
  /** Closes at once; idempotent. `closed` of the receiver is called. */
  destroy(error?: Error): void
}

export interface TlsOptions {
  readonly serverName?: string
  readonly ca?: readonly (string | Buffer)[]
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly passphrase?: string
  readonly rejectUnauthorized?: boolean
}

export interface ConnectOptions {
  readonly host: string
  readonly port: number
  /** Which of the host's addresses, when it was looked up; `host` stays the name that certificates and messages go by. */
  readonly address?: string
  readonly timeoutMs: number
  readonly tls?: TlsOptions
}

export interface Network {
  /** All addresses of a host, in the order of preference; rejects when it has none. Absent: names are addresses themselves. */
  lookup?(host: string): Promise<readonly string[]>
  /** Resolves when the connection stands; rejects with the system's error or after `timeoutMs`. */
  connect(options: ConnectOptions, receiver: NetworkReceiver): Promise<NetworkConnection>
}
