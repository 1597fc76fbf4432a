/**
 * The joints of the protocol: the named places where a crash is most interesting. Passing one publishes its name on the
 * diagnostics channel `millrace:joint` (synchronous, and free while nobody listens). Kill tests and the simulator stop the
 * process exactly there; tracing tools may listen as well.
 */
import { type Channel, channel } from 'node:diagnostics_channel'

export const JOINTS = [
  'attempt-written',
  'barrier-sent',
  'flushed',
  'snapshot-written',
  'metadata-written',
  'record-before-link',
  'record-linked',
  'completed-written',
  'transaction-ended',
  'all-ended',
  'committed-written',
  'sweep',
  'checkpoint-failed',
  'final-checkpoint',
  'final-committed',
  'before-init-producer-id',
] as const

export type JointName = (typeof JOINTS)[number]

export interface JointMessage {
  readonly name: JointName
  readonly detail: Readonly<Record<string, unknown>>
}

const joints: Channel = channel('millrace:joint')

export function joint(name: JointName, detail: Readonly<Record<string, unknown>> = {}): void {
  if (joints.hasSubscribers) joints.publish({ name, detail } satisfies JointMessage)
}
