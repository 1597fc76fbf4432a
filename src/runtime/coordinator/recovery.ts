/**
 * Recovery: once for the whole job, before any task opens, in the fixed order of exactly-once rule 8. The `attempt` record
 * is in the log already; what the last completed checkpoint flushed is ended first, because fencing an id would abort it.
 */
import { joint, MillraceError } from '../../base/index.ts'
import {
  type AttemptIds,
  attemptId,
  type CommittableDescription,
  checkpointId,
  deserializeVersioned,
  type RuntimePorts,
  type TransactionState,
} from '../../core/index.ts'
import type { CheckpointContent, CheckpointPart } from '../checkpoint/checkpoint-metadata.ts'
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts'
import type { JobLog } from '../checkpoint/job-log.ts'
import type { LineageBegin, PastCheckpoint } from '../checkpoint/job-log-record.ts'
import { unpackList } from '../checkpoint/packed-list.ts'
import type { JobPlan, StartOptions, TransactionalSink } from './job-plan.ts'

/** How often what became of transactions is looked at again because it changed while they were being settled. */
const LOOKS_MAX = 3

export interface RecoveryOptions {
  readonly plan: JobPlan
  readonly start: StartOptions
  readonly log: JobLog
  readonly store: CheckpointStore
  readonly ports: RuntimePorts
  /** What lies where the lineage began, which was settled then (rule 14). Throws when it cannot be read. */
  readBeginning(begin: LineageBegin & { readonly kind: 'savepoint' }): Promise<CheckpointContent>
}

export interface FlushedTransaction {
  readonly sink: TransactionalSink
  readonly committable: unknown
  readonly description: CommittableDescription
}

export interface Recovered {
  /** Undefined: the lineage's beginning. */
  readonly restored: CheckpointContent | undefined
  /** The void checkpoint that knows where sources first began which `restored` does not know; undefined: nobody knows it. */
  readonly voided: CheckpointContent | undefined
}

/** Settles what the log left unsettled and answers what to restore. */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { log } = options
  const contents = new Map<number, CheckpointContent>()
  for (const past of log.history.unsettled) {
    const content = await readOrVoid(options, past)
    if (content === undefined) continue
    contents.set(past.record.checkpoint, content)
    await settle(options, past, content)
  }
  let restored: CheckpointContent | undefined
  for (let last = log.history.last; last !== undefined && restored === undefined; last = log.history.last) {
    restored = contents.get(last.record.checkpoint) ?? (await readOrVoid(options, last))
  }
  const begin = log.history.lineage?.begin
  if (restored === undefined && begin?.kind === 'savepoint') restored = await options.readBeginning(begin)
  const voided = await readVoided(options, restored, contents)
  await fenceEarlierAttempts(options)
  if (restored !== undefined) checkGraphTakes(options, restored)
  return { restored, voided }
}

/** The transactions that a checkpoint lists, oldest first. Rule 17: those of a sink that is gone stop the start. */
export function flushedTransactions(
  plan: JobPlan,
  content: CheckpointContent,
  allowNonRestoredState: boolean,
): FlushedTransaction[] {
  const flushed: FlushedTransaction[] = []
  for (const part of content.parts) {
    if (part.role !== 'committable') continue
    const sink = plan.transactional.find((candidate) => candidate.uid === part.uid)
    if (sink === undefined) {
      if (allowNonRestoredState) continue
      throw new MillraceError(
        'STATE_NOT_RESTORED',
        `checkpoint ${content.checkpoint} holds flushed transactions of the sink with uid "${part.uid}", which is no longer in the job`,
        {
          next:
            'Nothing was changed. Start once with that sink in the job, so that its records become visible, or give ' +
            'these records up with --allow-non-restored-state.',
        },
      )
    }
    for (const bytes of unpackList(part.bytes)) {
      const committable = deserializeVersioned(sink.side.committableSerializer, { version: part.version, bytes })
      flushed.push({ sink, committable, description: sink.side.describeCommittable(committable) })
    }
  }
  return flushed.sort((left, right) => left.description.barrier - right.description.barrier)
}

/** Ends all that a completed checkpoint flushed, or, when that cannot be done and nothing of it was seen, voids it. */
async function settle(
  options: RecoveryOptions,
  past: PastCheckpoint,
  content: CheckpointContent,
  look = 1,
): Promise<void> {
  const { plan, log, start, ports } = options
  const checkpoint = past.record.checkpoint
  const lookAgain = (): Promise<void> => settle(options, past, content, look + 1)
  const committed = committedBefore(log, past)
  const flushed = flushedTransactions(plan, content, start.allowNonRestoredState).filter(
    ({ description }) => description.barrier > committed,
  )
  const states = await inspect(flushed)
  const missing = flushed.filter((_, index) => states[index] === 'gone' || states[index] === 'unknown')
  if (missing.length > 0 && !states.includes('committed') && !states.includes('unknown')) {
    for (const [index, one] of flushed.entries()) {
      if (states[index] === 'open') await one.sink.ledger.abort(one.committable)
    }
    // A process that slept may have ended one between the look and its abort: going back would then double its records.
    if ((await inspect(flushed)).includes('committed') && look < LOOKS_MAX) return lookAgain()
    await log.append({ kind: 'void', checkpoint })
    ports.logger.warn(
      { checkpoint, transactions: missing.map((one) => one.description.transactionalId) },
      `a checkpoint is void: transactions of it expired before their commit, and none of it was seen; ${
        log.history.last === undefined
          ? 'there is none before it, so sources begin again where they first began, nothing is lost'
          : 'going back to the one before, nothing is lost'
      }`,
    )
    return
  }
  if (missing.length > 0) lostTransactions(options, checkpoint, missing, states.includes('unknown'))
  let seen = states.includes('committed')
  for (const [index, one] of flushed.entries()) {
    if (states[index] !== 'open') continue
    const outcome = await one.sink.ledger.commit(one.committable)
    // It expired since the look, before anything of the checkpoint was seen: the checkpoint can still be void.
    if (outcome === 'gone' && !seen && look < LOOKS_MAX) return lookAgain()
    seen ||= outcome === 'committed'
    if (outcome !== 'committed') lostTransactions(options, checkpoint, [one], outcome === 'unknown')
    joint('transaction-ended', { checkpoint, transactionalId: one.description.transactionalId })
  }
  joint('all-ended', { checkpoint })
  await publishPositions(options, content)
  if (content.final) await whenVisible(flushed)
  await log.append({ kind: 'committed', checkpoint })
  joint('committed-written', { checkpoint })
}

/**
 * Barriers up to it are settled for good. A checkpoint that was begun while an older one's transactions were being ended may list
 * these too; that they were seen says nothing of this one.
 */
function committedBefore(log: JobLog, past: PastCheckpoint): number {
  const settled = log.history.completed.filter((other) => other.committed).map((other) => other.record.checkpoint)
  return Math.max(0, past.record.committed ?? 0, ...settled)
}

async function inspect(flushed: readonly FlushedTransaction[]): Promise<TransactionState[]> {
  const states: TransactionState[] = new Array<TransactionState>(flushed.length).fill('unknown')
  for (const sink of new Set(flushed.map((one) => one.sink))) {
    const own = flushed.flatMap((one, index) => (one.sink === sink ? [{ one, index }] : []))
    const answers = await sink.ledger.inspect(own.map(({ one }) => one.committable))
    for (const [at, { index }] of own.entries()) states[index] = answers[at] ?? 'unknown'
  }
  return states
}

/** Rule 12: a result is given when the markers are written. */
export async function whenVisible(flushed: readonly FlushedTransaction[]): Promise<void> {
  for (const one of flushed) await one.sink.ledger.settled(one.committable)
}

/** Throws unless the policy says to go on (rule 11). */
function lostTransactions(
  options: RecoveryOptions,
  checkpoint: number,
  missing: readonly FlushedTransaction[],
  undecided: boolean,
): void {
  const list = missing
    .map(({ description, sink }) => {
      const topics = Object.entries(description.records).map(([topic, count]) => `${count} records to ${topic}`)
      return `${description.transactionalId} of sink ${sink.uid} (${description.producer}, ${topics.join(', ')})`
    })
    .join('; ')
  const verdict = undecided
    ? 'the brokers cannot tell whether these were committed'
    : 'others of this checkpoint were committed, so it can be neither repeated nor completed: these records are lost'
  const policy = options.plan.configuration.get('onLostTransactions')
  const fields = { checkpoint, transactions: missing.map((one) => one.description) }
  if (policy === 'continue') {
    options.ports.logger.error(fields, `going on without transactions, as configured: ${verdict}`)
    return
  }
  throw new MillraceError(
    undecided ? 'TRANSACTIONS_UNDECIDED' : 'TRANSACTIONS_LOST',
    `checkpoint ${checkpoint}: ${verdict}: ${list}`,
    {
      next:
        'The job stops here. Compare the output topics, write what is missing, and then go on with ' +
        '-D millrace.recovery.on-lost-transactions=continue.',
    },
  )
}

/** Undefined when it is damaged and the policy says to go back (rule 10): then it is void. */
async function readOrVoid(options: RecoveryOptions, past: PastCheckpoint): Promise<CheckpointContent | undefined> {
  const { record } = past
  try {
    return await options.store.read(record.folder, record.digest)
  } catch (error) {
    if (!MillraceError.is(error) || error.code !== 'CHECKPOINT_DAMAGED') throw error
    const older = options.log.history.completed.findLast(
      (other) => other.record.checkpoint < record.checkpoint && other.record.lineage === record.lineage,
    )
    const from = older === undefined ? 'the beginning of the input' : `checkpoint ${older.record.checkpoint}`
    const topics = Object.keys(record.records)
    const doubled =
      topics.length === 0 ? 'no topic would hold records twice' : `records in ${topics.join(', ')} may stand twice`
    if (options.plan.configuration.get('onDamagedCheckpoint') === 'fall-back') {
      options.ports.logger.error(
        { checkpoint: record.checkpoint, topics },
        `going back to ${from}, as configured: ${doubled}`,
      )
      await options.log.append({ kind: 'void', checkpoint: record.checkpoint })
      return undefined
    }
    throw new MillraceError('CHECKPOINT_DAMAGED', error.message, {
      cause: error.cause,
      next:
        `Checkpoint ${record.checkpoint} completed, so the job does not start from an older one by itself: from ${from}, ${doubled}. ` +
        'Restore the folder from a copy, or accept that with -D millrace.recovery.on-damaged-checkpoint=fall-back.',
    })
  }
}

/**
 * A source that no checkpoint knows any more begins again where the void one says that it first began: looked up once more, the
 * end of its input lies behind what came since. Without the void one that is accepted by the same policy as in rule 10.
 */
async function readVoided(
  options: RecoveryOptions,
  restored: CheckpointContent | undefined,
  contents: ReadonlyMap<number, CheckpointContent>,
): Promise<CheckpointContent | undefined> {
  const { log, plan, store, ports } = options
  const { voided } = log.history
  const known = new Set(restored?.parts.flatMap((part) => (part.role === 'enumerator' ? [part.uid] : [])))
  const unknown = plan.sources.flatMap(({ uid, source }) =>
    source.beginningOf === undefined || known.has(uid) ? [] : [uid],
  )
  if (voided === undefined || unknown.length === 0) return undefined
  const { checkpoint, folder, digest } = voided
  try {
    return contents.get(checkpoint) ?? (await store.read(folder, digest))
  } catch (error) {
    if (!MillraceError.is(error) || error.code !== 'CHECKPOINT_DAMAGED') throw error
    const sources = unknown.map((uid) => `"${uid}"`).join(', ')
    const missing = `the void checkpoint ${checkpoint} alone knows where the sources with uid ${sources} first began. Looked up anew, OffsetsInitializer.latest(), timestamps and committed offsets may leave out records that came since then; earliest() leaves out none`
    if (plan.configuration.get('onDamagedCheckpoint') === 'fall-back') {
      ports.logger.error(
        { checkpoint, sources: unknown },
        `beginning at the starting offsets, as configured: ${missing}`,
      )
      return undefined
    }
    throw new MillraceError('CHECKPOINT_DAMAGED', `${error.message}: ${missing}`, {
      cause: error.cause,
      next:
        'Nothing was read. Restore the folder from a copy, or accept that with -D millrace.recovery.on-damaged-checkpoint=fall-back ' +
        'and compare the output topics.',
    })
  }
}

async function publishPositions(options: RecoveryOptions, content: CheckpointContent): Promise<void> {
  for (const { uid, source } of options.plan.sources) {
    const splits = content.parts
      .filter((part) => part.uid === uid && part.role === 'split')
      .map((part) => deserializeVersioned(source.splitSerializer, part))
    try {
      await source.publishPositions?.(splits, options.ports)
    } catch (error) {
      options.ports.logger.warn(
        { uid, error: String(error) },
        'positions could not be published; nothing depends on them',
      )
    }
  }
}

/** The ids that earlier attempts may have left open. */
export function earlierIds(options: Pick<RecoveryOptions, 'log' | 'plan'>, sink: TransactionalSink): AttemptIds[] {
  const { log } = options
  return log.history.unfenced(log.attempt).flatMap((past) =>
    past.sinks
      .filter((other) => other.uid === sink.uid)
      .map((other) => ({
        ...other,
        attempt: attemptId(past.attempt),
        firstCheckpoint: checkpointId(past.firstCheckpoint),
        lastCheckpoint: checkpointId(past.highestCompleted + other.poolBound),
      })),
  )
}

async function fenceEarlierAttempts(options: RecoveryOptions): Promise<void> {
  await options.log.checkOwnership()
  for (const sink of options.plan.transactional) {
    const open = await sink.ledger.fence(earlierIds(options, sink))
    if (open > 0)
      options.ports.logger.info({ uid: sink.uid, open }, 'aborted transactions that earlier attempts left open')
  }
}

function checkGraphTakes(options: RecoveryOptions, content: CheckpointContent): void {
  const { nodes } = options.plan.graph
  const known = new Set(nodes.map((node) => node.uid))
  const keyed = new Set(
    nodes.flatMap((node) => (node.kind === 'operator' && node.keyOf !== undefined ? [node.uid] : [])),
  )
  const taken = ({ uid, role }: CheckpointPart): boolean => (role === 'keyed' ? keyed : known).has(uid)
  const orphans = new Set(content.parts.filter((part) => !taken(part)).map((part) => part.uid))
  if (orphans.size === 0 || options.start.allowNonRestoredState) return
  const names = [...orphans].map((uid) => `"${uid}"`).join(', ')
  throw new MillraceError(
    'STATE_NOT_RESTORED',
    `checkpoint ${content.checkpoint} holds state of operators that are not in the job, or have no keyed state there: uid ${names}`,
    {
      next:
        'Nothing was lost: the checkpoint is untouched. Give the operators their former uid, or give this state up with ' +
        '--allow-non-restored-state (a source then begins at its starting offsets).',
    },
  )
}
