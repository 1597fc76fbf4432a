/**
 * From the key of an API to the function that answers it. A handler answers at once or later, exactly once; null is no answer
 * at all, as producers with acks=0 want it.
 */
import type { AnyApi, Api, Input } from '../../kafka/index.ts'
import type { RequestContext } from './request-context.ts'

export type Answer<Response> = (response: Input<Response> | null) => void

export interface Route {
  readonly api: AnyApi
  /** Versions that brokers offer. */
  readonly maxVersion: number
  readonly handle: (request: unknown, context: RequestContext, answer: Answer<unknown>) => void
}

/** For an answer that may have to wait. */
export function waitingRoute<Request, Response>(
  api: Api<Request, Response>,
  handle: (request: Request, context: RequestContext, answer: Answer<Response>) => void,
): Route {
  return {
    api: api as AnyApi,
    maxVersion: api.latestVersionUnstable ? api.maxVersion - 1 : api.maxVersion,
    handle: (request, context, answer) => handle(request as Request, context, answer as Answer<Response>),
  }
}

/** For an answer that is there at once. */
export function route<Request, Response>(
  api: Api<Request, Response>,
  handle: (request: Request, context: RequestContext) => Input<Response> | null,
): Route {
  return waitingRoute(api, (request, context, answer) => answer(handle(request, context)))
}
