/** What a task would give a sink's writer: for tests that drive a writer without the engine. */
import { SeededRandom, SystemClock, silentLogger, TcpNetwork } from '../../base/index.ts'
import {
  attemptId,
  checkpointId,
  ElementTime,
  MetricRegistry,
  type RuntimePorts,
  type SinkWriterContext,
  subtaskIndex,
} from '../../core/index.ts'

export interface WriterContextOptions {
  readonly attempt?: number
  readonly subtask?: number
  readonly parallelism?: number
  readonly nextCheckpoint?: number
  readonly poolBound?: number
  readonly transactionTimeoutMs?: number
}

export interface TestWriterContext extends SinkWriterContext {
  readonly metrics: MetricRegistry
  readonly time: ElementTime
  /** What the writer reported by `fail`. */
  readonly failures: Error[]
}

export function realPorts(): RuntimePorts {
  return { clock: new SystemClock(), random: new SeededRandom(1), network: new TcpNetwork(), logger: silentLogger }
}

export function writerContext(options: WriterContextOptions = {}): TestWriterContext {
  const failures: Error[] = []
  return {
    ...realPorts(),
    jobName: 'test',
    operatorName: 'sink',
    uid: 'sink',
    subtask: subtaskIndex(options.subtask ?? 0),
    parallelism: options.parallelism ?? 1,
    maxParallelism: 128,
    metrics: new MetricRegistry(),
    attempt: attemptId(options.attempt ?? 7),
    time: new ElementTime(),
    nextCheckpoint: checkpointId(options.nextCheckpoint ?? 1),
    settings: { poolBound: options.poolBound ?? 3, transactionTimeoutMs: options.transactionTimeoutMs ?? 600_000 },
    failures,
    fail: (error) => failures.push(error),
  }
}
