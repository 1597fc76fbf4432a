/**
 * Whether a job is run as a stream or as a batch. The engine is the same; BATCH promises that the input ends and is refused
 * when it does not.
 */
export const RuntimeExecutionMode = { STREAMING: 'STREAMING', BATCH: 'BATCH', AUTOMATIC: 'AUTOMATIC' } as const

export type RuntimeExecutionMode = (typeof RuntimeExecutionMode)[keyof typeof RuntimeExecutionMode]
