export {
  type CheckpointView,
  type ContentView,
  type JobView,
  type PartView,
  viewCheckpoint,
  viewJob,
} from './checkpoint/job-view.ts'
export type { CheckpointFigures } from './coordinator/checkpoint-coordinator.ts'
export type { JobFailure } from './coordinator/failure-history.ts'
export type { JobFigures, JobStatus } from './coordinator/job-coordinator.ts'
export type { StartOptions } from './coordinator/job-plan.ts'
export {
  type JobEvent,
  type JobExecution,
  type JobExecutionResult,
  type RunOptions,
  runJobGraph,
} from './job-execution.ts'
export type { ExponentialDelay } from './restart/backoff.ts'
export { exponentialDelay, mayPass } from './restart/restart-strategy.ts'
export { KeyedInput, OperatorState } from './task/operator-state.ts'
export { serveTasks, type TaskServerOptions } from './task-server.ts'
export type { ThreadSettings } from './worker-thread.ts'
