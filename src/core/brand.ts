/**
 * Numbers and strings that are easily swapped carry a brand, so that the compiler tells a checkpoint from a subtask.
 */
declare const brand: unique symbol
type Brand<Base, Name> = Base & { readonly [brand]: Name }

/** A checkpoint's number. Numbers only rise within a job directory. */
export type CheckpointId = Brand<number, 'CheckpointId'>
/** An attempt's number: its place in the job's log. */
export type AttemptId = Brand<number, 'AttemptId'>
/** 0-based index of a parallel instance of an operator. */
export type SubtaskIndex = Brand<number, 'SubtaskIndex'>

export const checkpointId = (value: number): CheckpointId => value as CheckpointId
export const attemptId = (value: number): AttemptId => value as AttemptId
export const subtaskIndex = (value: number): SubtaskIndex => value as SubtaskIndex
