/**
 * What the coordinator reads off the graph once: the chains to deploy, the sources, and the sinks that write in
 * transactions with their ledgers.
 */
import { MillraceError } from '../../base/index.ts'
import type {
  Configuration,
  JobGraph,
  OperatorNode,
  SinkNode,
  SourceNode,
  TransactionalSide,
  TransactionLedger,
} from '../../core/index.ts'
import type { TaskId } from '../channel/messages.ts'

export interface TransactionalSink {
  readonly uid: string
  readonly name: string
  readonly parallelism: number
  readonly side: TransactionalSide<unknown>
  readonly ledger: TransactionLedger<unknown>
}

export interface JobPlan {
  readonly graph: JobGraph
  readonly configuration: Configuration
  readonly sources: readonly SourceNode[]
  readonly operators: readonly OperatorNode[]
  readonly sinks: readonly SinkNode[]
  readonly transactional: readonly TransactionalSink[]
  readonly tasks: readonly TaskId[]
}

export interface StartOptions {
  /** `savepoint`: begin at it, once; `rewind`: begin at it again, although a lineage of this job began there before. */
  readonly mode: 'resume' | 'fresh' | 'savepoint' | 'rewind'
  /** The folder of the savepoint or checkpoint to begin at. */
  readonly savepoint?: string
  /** State of operators that are no longer in the graph, and completed transactions of such sinks, may be given up. */
  readonly allowNonRestoredState: boolean
}

/** How many transactions of one writer may be flushed and unsettled at once (rule 3); one checkpoint runs at a time. */
export function poolBound(configuration: Configuration): number {
  return 1 + configuration.get('tolerableFailedCheckpoints') + 2
}

/** The longest that a transaction stays open when everything goes as badly as the job tolerates (rule 15). */
export function longestOpenMs(configuration: Configuration): number {
  const interval = configuration.get('checkpointIntervalMs') ?? 0
  const round = Math.max(interval, configuration.get('checkpointTimeoutMs') + configuration.get('checkpointMinPauseMs'))
  const restart = configuration.get('restartDelayMs') + 60_000
  return interval + (configuration.get('tolerableFailedCheckpoints') + 1) * round + restart
}

/** A task a subtask of each source's chain. Throws GRAPH_INVALID for what this engine cannot run. */
export function planTasks(graph: JobGraph): TaskId[] {
  const byId = new Map(graph.nodes.map((node) => [node.id, node]))
  const tasks: TaskId[] = []
  for (const node of graph.nodes) {
    if (node.kind === 'source') {
      for (let subtask = 0; subtask < node.parallelism; subtask++) tasks.push({ chain: node.id, subtask })
      continue
    }
    const [edge, another] = node.inputs
    const from = edge === undefined ? undefined : byId.get(edge.from)
    if (edge === undefined || from === undefined || another !== undefined) {
      throw new MillraceError('GRAPH_INVALID', `operator ${node.uid} must have exactly one input`)
    }
    if (edge.partitioning !== 'forward' || from.parallelism !== node.parallelism) {
      throw new MillraceError(
        'GRAPH_INVALID',
        `the edge from ${from.uid} to ${node.uid} is not a forward edge between equal parallelisms ` +
          `(${edge.partitioning}, ${from.parallelism} to ${node.parallelism}): this version runs forward edges only`,
      )
    }
  }
  return tasks
}
