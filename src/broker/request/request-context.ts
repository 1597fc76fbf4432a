/**
 * Who asks, and through which node: what a handler needs beside the request itself.
 */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** Under which addresses a client reaches the nodes; another one through TCP than in this process. */
export interface Endpoints {
  of(node: number): Endpoint
}

export interface RequestContext {
  readonly api: string
  readonly version: number
  readonly node: number
  readonly clientId: string
  readonly clientHost: string
  readonly endpoints: Endpoints
  /** Called when the connection goes before the answer: what was waiting need not wait any more. */
  onGone: (forget: () => void) => void
}
