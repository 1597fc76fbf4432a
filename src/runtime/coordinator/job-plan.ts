/**
 * What the coordinator reads off the graph once: the chains to deploy, the sources, and the sinks that write in
 * transactions with their ledgers.
 */
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
import { planGraph } from '../plan/physical-plan.ts'
import { longestPauseMs } from '../restart/restart-strategy.ts'

/** What a restart takes beside its pause: proving the old tasks gone, recovery, the way to the next checkpoint. */
const RECOVERY_MS = 60_000

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
  /** Those that barriers begin at. */
  readonly sourceTasks: readonly TaskId[]
  /** Of each chain, the uids of its nodes: what state its tasks are given. */
  readonly uidsOf: ReadonlyMap<number, ReadonlySet<string>>
}

export interface StartOptions {
  /** `savepoint`: begin at it, once; `rewind`: begin at it again, although a lineage of this job began there before. */
  readonly mode: 'resume' | 'fresh' | 'savepoint' | 'rewind'
  /** The folder of the savepoint or checkpoint to begin at. */
  readonly savepoint?: string
  /** State of operators that are no longer in the graph, and completed transactions of such sinks, may be given up. */
  readonly allowNonRestoredState: boolean
}

/** Whether checkpoints are taken while it runs: a failure then goes back to one, not to the beginning. */
export function isCheckpointed({ configuration, transactional }: JobPlan): boolean {
  return configuration.get('checkpointIntervalMs') !== undefined || transactional.length > 0
}

/**
 * How many ids one writer may hold at once (rule 3): those of all barriers since the last checkpoint whose commit is durable, and
 * the one that is being written. Since then one has completed, its commit waiting to ride with the next, and may have overtaken
 * all others under way; as many are under way again; and failures are tolerated between any two that complete while these
 * were under way. One at a time that tolerates no failure: 3.
 */
export function poolBound(configuration: Configuration): number {
  const underWay = configuration.get('checkpointMinPauseMs') > 0 ? 1 : configuration.get('maxConcurrentCheckpoints')
  return 2 * underWay + (underWay + 1) * configuration.get('tolerableFailedCheckpoints') + 1
}

/** The longest that a transaction stays open when everything goes as badly as the job tolerates (rule 15). */
export function longestOpenMs(configuration: Configuration): number {
  const interval = configuration.get('checkpointIntervalMs') ?? 0
  const round = Math.max(interval, configuration.get('checkpointTimeoutMs') + configuration.get('checkpointMinPauseMs'))
  const restart = longestPauseMs(configuration, true) + RECOVERY_MS
  return interval + (configuration.get('tolerableFailedCheckpoints') + 1) * round + restart
}

/** A task for each subtask of each chain. Throws GRAPH_INVALID for a graph that cannot run. */
export function planTasks(graph: JobGraph): Pick<JobPlan, 'tasks' | 'sourceTasks' | 'uidsOf'> {
  const { chains } = planGraph(graph)
  const tasks: TaskId[] = []
  const sourceTasks: TaskId[] = []
  const uidsOf = new Map<number, ReadonlySet<string>>()
  for (const { head, nodes } of chains) {
    uidsOf.set(head.id, new Set(nodes.map((node) => node.uid)))
    for (let subtask = 0; subtask < head.parallelism; subtask++) {
      const task = { chain: head.id, subtask }
      tasks.push(task)
      if (head.kind === 'source') sourceTasks.push(task)
    }
  }
  return { tasks, sourceTasks, uidsOf }
}
