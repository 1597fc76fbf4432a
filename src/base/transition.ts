/**
 * Steps of the written state machines. Taking one publishes it on the diagnostics channel `millrace:transition` (synchronous,
 * and free while nobody listens), so that a run of the simulator can tell which cells of a machine's table it has visited.
 */
import { type Channel, channel } from 'node:diagnostics_channel'

export interface TransitionMessage {
  /** `transaction`, `checkpoint`, `task`, `job`. */
  readonly machine: string
  readonly from: string
  readonly event: string
  readonly to: string
}

const transitions: Channel = channel('millrace:transition')

export function transition(machine: string, from: string, event: string, to: string): void {
  if (transitions.hasSubscribers) transitions.publish({ machine, from, event, to } satisfies TransitionMessage)
}
