/**
 * The options of a job: Flink's keys with Flink's defaults, and the few keys that are this project's own (`millrace.`). The
 * reference page docs/configuration.md is made from this table; what Flink says of a key holds here unless its description differs.
 */
import {
  type ConfigOption,
  choiceOption,
  durationOption,
  integerOption,
  numberOption,
  optionalChoiceOption,
  optionalDurationOption,
  optionalSizeOption,
  textOption,
} from './option-types.ts'

export type CheckpointingMode = 'exactly-once' | 'at-least-once'
export type RestartStrategyType = 'none' | 'fixed-delay' | 'exponential-delay' | 'failure-rate'

/** What each option's value is. */
export interface ConfigurationValues {
  readonly parallelism: number
  readonly maxParallelism: number
  readonly watermarkIntervalMs: number
  readonly runtimeMode: 'streaming' | 'batch' | 'automatic'
  readonly checkpointIntervalMs: number | undefined
  readonly checkpointingMode: CheckpointingMode
  readonly checkpointTimeoutMs: number
  readonly checkpointMinPauseMs: number
  readonly maxConcurrentCheckpoints: number
  readonly tolerableFailedCheckpoints: number
  readonly retainedCheckpoints: number
  readonly checkpointDirectory: string | undefined
  readonly restartStrategy: RestartStrategyType | undefined
  readonly restartAttempts: number
  readonly restartDelayMs: number
  readonly initialBackoffMs: number
  readonly maxBackoffMs: number
  readonly backoffMultiplier: number
  readonly resetBackoffThresholdMs: number
  readonly backoffJitterFactor: number
  readonly attemptsBeforeResetBackoff: number
  readonly maxFailuresPerInterval: number
  readonly failureRateIntervalMs: number
  readonly failureRateDelayMs: number
  readonly watchdogTimeoutMs: number
  readonly workerHeapBytes: number | undefined
  readonly onDamagedCheckpoint: 'fail' | 'fall-back'
  readonly onLostTransactions: 'fail' | 'continue'
}

export const OPTIONS: { readonly [Name in keyof ConfigurationValues]: ConfigOption<ConfigurationValues[Name]> } = {
  parallelism: integerOption({
    key: 'parallelism.default',
    default: 1,
    least: 1,
    description: 'Subtasks of an operator that sets none itself.',
  }),
  maxParallelism: integerOption({
    key: 'pipeline.max-parallelism',
    default: 128,
    least: 1,
    description: 'Key groups; the highest parallelism a job can ever have.',
  }),
  watermarkIntervalMs: durationOption({
    key: 'pipeline.auto-watermark-interval',
    default: 200,
    description: 'How often periodic watermarks are emitted.',
  }),
  runtimeMode: choiceOption({
    key: 'execution.runtime-mode',
    choices: ['streaming', 'batch', 'automatic'],
    default: 'streaming',
    description: 'The engine is the same; batch promises that the input ends, and is refused when a source has no end.',
  }),
  checkpointIntervalMs: optionalDurationOption({
    key: 'execution.checkpointing.interval',
    unset: 'only the final one',
    description:
      'Time from the beginning of a checkpoint to that of the next. A job that writes exactly once without it checkpoints ' +
      'every quarter of its transaction timeout.',
  }),
  checkpointingMode: choiceOption({
    key: 'execution.checkpointing.mode',
    choices: ['exactly-once', 'at-least-once'],
    default: 'exactly-once',
    description:
      'With at-least-once no task holds back an input that is ahead of a barrier, and state may have seen records twice after a failure.',
  }),
  checkpointTimeoutMs: durationOption({
    key: 'execution.checkpointing.timeout',
    default: 600_000,
    description: 'A checkpoint for which a subtask has not answered in this time has failed.',
  }),
  checkpointMinPauseMs: durationOption({
    key: 'execution.checkpointing.min-pause',
    default: 0,
    description:
      'The least time between the end of one checkpoint and the beginning of the next. Above 0 there is one at a time, whatever ' +
      'max-concurrent-checkpoints says.',
  }),
  maxConcurrentCheckpoints: integerOption({
    key: 'execution.checkpointing.max-concurrent-checkpoints',
    default: 1,
    least: 1,
    description: 'How many checkpoints may be under way at once, from the barrier to the end of its transactions.',
  }),
  tolerableFailedCheckpoints: integerOption({
    key: 'execution.checkpointing.tolerable-failed-checkpoints',
    default: 0,
    least: 0,
    description: 'Consecutive failed checkpoints that do not fail the job.',
  }),
  retainedCheckpoints: integerOption({
    key: 'execution.checkpointing.num-retained',
    default: 1,
    least: 1,
    description: 'Completed checkpoints kept.',
  }),
  checkpointDirectory: textOption({
    key: 'execution.checkpointing.dir',
    unset: '.millrace in the current directory; memory for an environment made by hand',
    description: 'Where the job directory lies: a path or a file:// URI.',
  }),
  restartStrategy: optionalChoiceOption({
    key: 'restart-strategy.type',
    choices: ['none', 'fixed-delay', 'exponential-delay', 'failure-rate'],
    names: {
      off: 'none',
      disable: 'none',
      fixeddelay: 'fixed-delay',
      exponentialdelay: 'exponential-delay',
      failurerate: 'failure-rate',
    },
    unset: 'exponential-delay with checkpoints, none without',
    description: 'What follows a failure.',
  }),
  restartAttempts: integerOption({
    key: 'restart-strategy.fixed-delay.attempts',
    default: 1,
    least: 0,
    description: 'Restarts before the job fails for good.',
  }),
  restartDelayMs: durationOption({
    key: 'restart-strategy.fixed-delay.delay',
    default: 1_000,
    description: 'The pause before a restart.',
  }),
  initialBackoffMs: durationOption({
    key: 'restart-strategy.exponential-delay.initial-backoff',
    default: 1_000,
    leastMs: 1,
    description: 'The first pause before a restart.',
  }),
  maxBackoffMs: durationOption({
    key: 'restart-strategy.exponential-delay.max-backoff',
    default: 60_000,
    leastMs: 1,
    description: 'The longest pause before a restart.',
  }),
  backoffMultiplier: numberOption({
    key: 'restart-strategy.exponential-delay.backoff-multiplier',
    default: 1.5,
    least: 1,
    description: 'The pause grows by this factor with every failure.',
  }),
  resetBackoffThresholdMs: durationOption({
    key: 'restart-strategy.exponential-delay.reset-backoff-threshold',
    default: 3_600_000,
    leastMs: 1,
    description: 'After running so long without a failure the pause and the count of attempts begin anew.',
  }),
  backoffJitterFactor: numberOption({
    key: 'restart-strategy.exponential-delay.jitter-factor',
    default: 0.1,
    least: 0,
    most: 1,
    description:
      'This part of the pause is added or taken away by chance, so that jobs that failed together do not return together.',
  }),
  attemptsBeforeResetBackoff: integerOption({
    key: 'restart-strategy.exponential-delay.attempts-before-reset-backoff',
    default: Number.POSITIVE_INFINITY,
    least: 1,
    description: 'Restarts before the job fails for good, unless it ran for the threshold in between.',
  }),
  maxFailuresPerInterval: integerOption({
    key: 'restart-strategy.failure-rate.max-failures-per-interval',
    default: 1,
    least: 1,
    description: 'More failures within the interval fail the job for good.',
  }),
  failureRateIntervalMs: durationOption({
    key: 'restart-strategy.failure-rate.failure-rate-interval',
    default: 60_000,
    leastMs: 1,
    description: 'The time over which failures are counted.',
  }),
  failureRateDelayMs: durationOption({
    key: 'restart-strategy.failure-rate.delay',
    default: 1_000,
    description: 'The pause before a restart.',
  }),
  watchdogTimeoutMs: durationOption({
    key: 'millrace.worker.watchdog-timeout',
    default: 60_000,
    leastMs: 100,
    description: 'A worker thread whose event loop does not turn for this long is ended, and its tasks have failed.',
  }),
  workerHeapBytes: optionalSizeOption({
    key: 'millrace.worker.heap-size',
    unset: "V8's own limit",
    description:
      "The most that a worker thread's objects may take; beyond it the thread ends, and its tasks have failed.",
  }),
  onDamagedCheckpoint: choiceOption({
    key: 'millrace.recovery.on-damaged-checkpoint',
    choices: ['fail', 'fall-back'],
    default: 'fail',
    description:
      'When the last completed checkpoint cannot be read: stop, or go back to an older one although records will be doubled.',
  }),
  onLostTransactions: choiceOption({
    key: 'millrace.recovery.on-lost-transactions',
    choices: ['fail', 'continue'],
    default: 'fail',
    description:
      'When a transaction was lost after others of its checkpoint were committed: stop, or go on without its records.',
  }),
}
