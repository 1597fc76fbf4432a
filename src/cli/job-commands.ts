/**
 * `millrace list`, `stop`, `cancel`, `checkpoints`: jobs are found in the checkpoint directory, and running ones also through the index
 * of this machine. What counts is the answer of the job's own socket; what nobody answers for is cleaned away.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DirectoryStorage, MillraceError, type Storage, SystemClock, SystemRandom } from '../base/index.ts'
import { type CheckpointView, type JobView, viewJob } from '../runtime/index.ts'
import { checkpointDirectory } from '../stream/index.ts'
import { configurationOf } from './configuration-file.ts'
import { askJob } from './control/control-client.ts'
import type { JobReport } from './control/control-messages.ts'
import { controlSocket } from './control/control-server.ts'
import { JobIndex } from './control/job-index.ts'
import type { JobCommand } from './job-arguments.ts'
import { type Run, readRuns } from './run-history.ts'
import { ageText, countText, recordsText, sizeText, tableText, timeText } from './table.ts'

type Of<Kind extends JobCommand['kind']> = Extract<JobCommand, { readonly kind: Kind }>

/** A job's directory, and what its process says if one runs it. */
interface FoundJob {
  readonly job: string
  readonly directory: string
  readonly report: JobReport | undefined
}

const clock = new SystemClock()
const index = new JobIndex()

export async function listCommand(command: Of<'list'>): Promise<number> {
  const found = await findAll(await directoryOf(command))
  const shown = command.all ? found : found.filter(({ report }) => report !== undefined)
  if (shown.length === 0) {
    process.stdout.write(command.all ? 'no job is known here\n' : 'no job is running on this machine\n')
    return 0
  }
  const rows = [['JOB', 'STATUS', 'SINCE (UTC)', 'RECORDS IN', 'LAST CHECKPOINT', 'PROCESS', 'DIRECTORY']]
  for (const job of shown) rows.push(job.report === undefined ? await restRow(job) : runningRow(job, job.report))
  process.stdout.write(tableText(rows))
  return 0
}

/** `millrace stop` and `millrace cancel`: resolves when the job has ended. */
export async function endCommand(command: Of<'stop' | 'cancel'>): Promise<number> {
  const { kind, job } = command
  const { directory } = await findRunning(job, await directoryOf(command))
  const answer = await askJob(controlSocket(directory), kind)
  if (answer === undefined) throw notRunning(job)
  switch (answer.kind) {
    case 'done':
      process.stdout.write(
        kind === 'stop'
          ? `millrace: ${job} stopped with a last checkpoint; the command that ran it resumes it\n`
          : `millrace: ${job} was cancelled; the command that ran it resumes it from its last checkpoint\n`,
      )
      return 0
    case 'refused':
      process.stderr.write(
        `millrace: ${answer.message}${answer.code === '' ? '' : ` [${answer.code}]`}\n${answer.next === '' ? '' : `  ${answer.next}\n`}`,
      )
      return 1
    case 'status':
      return 1
  }
}

export async function checkpointsCommand(command: Of<'checkpoints'>): Promise<number> {
  const { job } = command
  const { directory, report } = await find(job, await directoryOf(command))
  const storage = new DirectoryStorage(directory)
  const view = await viewJob(storage, { clock, random: new SystemRandom() })
  if (view === undefined) throw unknownJob(job, directory)
  const runs = await readRuns(storage)
  const texts = [`${job} ${report?.status ?? restText(view, runs.at(-1))}, attempt ${view.lastAttempt}, ${directory}\n`]
  if (report !== undefined) texts.push(liveText(report))
  texts.push('\n', checkpointsText(view.checkpoints))
  if (runs.length > 0) texts.push('\n', runsText(runs, report))
  const failures = report?.failures ?? runs.at(-1)?.failures ?? []
  if (failures.length > 0) texts.push('\n', failuresText(failures))
  process.stdout.write(texts.join(''))
  return 0
}

/** Making savepoints is no part of this version; that is said before anything is looked for. */
export function savepointCommand(command: Of<'savepoint'>): never {
  throw new MillraceError('NOT_SUPPORTED', `savepoint ${command.job}: this version makes no savepoints`, {
    next:
      'Nothing was changed. millrace stop JOB ends it with a last checkpoint, and its folder (millrace checkpoints JOB) can be copied and ' +
      'started from with -s.',
  })
}

async function directoryOf(command: Of<'list' | 'stop' | 'cancel' | 'checkpoints'>): Promise<string> {
  const { configFile, configuration } = command
  return checkpointDirectory(await configurationOf({ named: configFile, defines: configuration }))
}

/** Those of the checkpoint directory and, running, those of the machine. What is left of dead ones is cleaned away. */
async function findAll(checkpoints: string): Promise<FoundJob[]> {
  const here = namesIn(checkpoints).map((job) => ({ job, directory: join(checkpoints, job) }))
  const elsewhere = index.entries().filter(({ directory }) => here.every((other) => other.directory !== directory))
  const found = await Promise.all([...here, ...elsewhere].map(look))
  const known = new Set(elsewhere.map(({ directory }) => directory))
  return found
    .filter(({ directory, report }) => report !== undefined || !known.has(directory))
    .sort((left, right) => (left.job < right.job ? -1 : 1))
}

/** Of the folders, those that hold a job's log. */
function namesIn(checkpoints: string): string[] {
  if (!existsSync(checkpoints)) return []
  return readdirSync(checkpoints).filter((name) => existsSync(join(checkpoints, name, 'log')))
}

async function look({ job, directory }: Omit<FoundJob, 'report'>): Promise<FoundJob> {
  const socket = controlSocket(directory)
  const answer = existsSync(socket) ? await askJob(socket, 'status') : undefined
  if (answer?.kind === 'status') return { job, directory, report: answer.report }
  if (answer === undefined) {
    // Its process was killed: nobody listens there, and nobody will.
    rmSync(socket, { force: true })
    index.remove(directory)
  }
  return { job, directory, report: undefined }
}

/** Here, or running somewhere on this machine. Throws JOB_NOT_RUNNING when there are several and none is here. */
async function find(job: string, checkpoints: string): Promise<FoundJob> {
  const here = await look({ job, directory: join(checkpoints, job) })
  if (here.report !== undefined) return here
  const others = index.entries().filter((entry) => entry.job === job && entry.directory !== here.directory)
  const running = (await Promise.all(others.map(look))).filter(({ report }) => report !== undefined)
  const [only, another] = running
  if (only === undefined || namesIn(checkpoints).includes(job)) return here
  if (another === undefined) return only
  throw new MillraceError(
    'JOB_NOT_RUNNING',
    `several jobs named "${job}" run on this machine: ${running.map(({ directory }) => directory).join(', ')}`,
    {
      next: 'Nothing was changed. Name the directory above the one that is meant: -D execution.checkpointing.dir=...',
    },
  )
}

async function findRunning(job: string, checkpoints: string): Promise<FoundJob> {
  const found = await find(job, checkpoints)
  if (found.report === undefined) throw notRunning(job)
  return found
}

function notRunning(job: string): MillraceError {
  return new MillraceError('JOB_NOT_RUNNING', `no process on this machine runs job "${job}"`, {
    next: 'Nothing was changed. millrace list shows those that run; a job runs where its command was given.',
  })
}

function unknownJob(job: string, directory: string): MillraceError {
  return new MillraceError(
    'JOB_NOT_RUNNING',
    `there is no job "${job}" in ${directory}, and none of this name runs on this machine`,
    {
      next: 'Nothing was changed. Name the checkpoint directory with -D execution.checkpointing.dir=...',
    },
  )
}

function runningRow({ job, directory }: FoundJob, { status, beganAt, figures, pid }: JobReport): string[] {
  const { last } = figures.checkpoints
  const checkpoint = last === undefined ? '-' : `${last.checkpoint}, ${ageText(clock.now() - last.at)} ago`
  return [job, status, timeText(beganAt), countText(figures.recordsIn), checkpoint, String(pid), directory]
}

async function restRow({ job, directory }: FoundJob): Promise<string[]> {
  const storage = new DirectoryStorage(directory)
  const [view, last] = [await viewIfReadable(storage), (await readRuns(storage)).at(-1)]
  const since = last?.endedAt ?? last?.beganAt
  return [
    job,
    view === undefined ? 'log cannot be read' : restText(view, last),
    since === undefined ? '-' : timeText(since),
    last === undefined ? '-' : countText(last.recordsIn),
    String(view?.checkpoints.at(-1)?.checkpoint ?? '-'),
    '-',
    directory,
  ]
}

/** Whether a log is damaged is for a start to say; here it is one line of many. */
async function viewIfReadable(storage: Storage): Promise<JobView | undefined> {
  try {
    return await viewJob(storage, { clock, random: new SystemRandom() })
  } catch (error) {
    if (MillraceError.is(error)) return undefined
    throw error
  }
}

/** Of a job that no process runs. */
function restText({ end }: JobView, last: Run | undefined): string {
  if (end !== 'running') return end
  return last?.outcome ?? 'killed'
}

function liveText({ pid, beganAt, jobFile, figures }: JobReport): string {
  const { checkpoints, recordsIn, recordsOut, restarts } = figures
  const { completed, failed, inProgress } = checkpoints
  return (
    `process ${pid} since ${timeText(beganAt)} UTC, ${jobFile}\n` +
    `${countText(recordsIn)} records in, ${countText(recordsOut)} out, ${restarts} restarts; ` +
    `checkpoints: ${completed} completed, ${failed} failed, ${inProgress} under way\n`
  )
}

function checkpointsText(checkpoints: readonly CheckpointView[]): string {
  if (checkpoints.length === 0) return 'no checkpoint has completed\n'
  const kept = checkpoints.filter(({ at }) => at !== undefined)
  const rows = kept.map(({ checkpoint, attempt, at, bytes, committed, final, records, folder }) => [
    String(checkpoint),
    String(attempt),
    at === undefined ? '-' : timeText(at),
    bytes === undefined ? '-' : sizeText(bytes),
    `${committed ? 'committed' : 'not known as committed'}${final ? ', end of input' : ''}`,
    recordsText(records),
    folder,
  ])
  return tableText([
    ['CHECKPOINT', 'ATTEMPT', 'TAKEN (UTC)', 'STATE', 'TRANSACTIONS', 'RECORDS IN THEM', 'FOLDER'],
    ...rows,
  ])
}

function runsText(runs: readonly Run[], report: JobReport | undefined): string {
  const rows = runs.toReversed().map((run) => {
    const live = run.endedAt === undefined && run.pid === report?.pid ? report.figures : undefined
    return [
      timeText(run.beganAt),
      run.endedAt === undefined ? '-' : timeText(run.endedAt),
      run.outcome ?? (live === undefined ? 'killed' : 'running'),
      run.firstAttempt === run.lastAttempt ? String(run.firstAttempt) : `${run.firstAttempt} to ${run.lastAttempt}`,
      String(live?.checkpoints.completed ?? run.completedCheckpoints),
      countText(live?.recordsIn ?? run.recordsIn),
      countText(live?.recordsOut ?? run.recordsOut),
      run.message ?? '',
    ]
  })
  return tableText([['RUN FROM (UTC)', 'TO', 'END', 'ATTEMPTS', 'CHECKPOINTS', 'RECORDS IN', 'OUT', ''], ...rows])
}

function failuresText(failures: JobReport['failures']): string {
  const rows = failures
    .toReversed()
    .map(({ at, attempt, task, code, message }) => [
      timeText(at),
      String(attempt),
      task === undefined ? '-' : `${task.uid}, subtask ${task.subtask}`,
      `${message}${code === undefined ? '' : ` [${code}]`}`,
    ])
  return tableText([['FAILED (UTC)', 'ATTEMPT', 'TASK', 'WHY'], ...rows])
}
