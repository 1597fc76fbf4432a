/**
 * `millrace run`: loads the job, runs it in its job directory, and turns signals into a clean stop.
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Clock, MillraceError, SystemClock, SystemRandom, TcpNetwork, TextLogger } from '../base/index.ts'
import type { RuntimePorts } from '../core/index.ts'
import type { JobExecutionResult } from '../runtime/index.ts'
import { type JobClient, startJob } from '../stream/index.ts'
import type { RunCommand } from './arguments.ts'
import { configurationOf } from './configuration-file.ts'
import { loadJob } from './load-job.ts'
import type { ProfileOptions } from './profiles.ts'
import { ProgressLine } from './progress-line.ts'
import { RunningJob } from './running-job.ts'
import { isGivenUp, onSupervisorGone, tellDecided } from './supervised.ts'

export async function runCommand(command: RunCommand): Promise<number> {
  // Loaded only when wanted: the inspector is nothing that a job needs. Before the job, so that its start is seen too.
  const execArgv = command.profiles === undefined ? [] : await profiled(command.profiles)
  const { jobFile, configFile } = command
  const configuration = await configurationOf({ named: configFile, jobFile, defines: command.configuration })
  const job = await loadJob(jobFile)
  const ports: RuntimePorts = {
    clock: new SystemClock(),
    random: new SystemRandom(),
    network: new TcpNetwork(),
    logger: new TextLogger({ write: (line) => process.stderr.write(line), level: command.logLevel }),
  }
  let cancelled = false
  const running = new RunningJob({
    jobFile: resolve(jobFile),
    clock: ports.clock,
    logger: ports.logger,
    onWish: (ask) => {
      cancelled ||= ask === 'cancel'
      process.stderr.write(`\nmillrace: asked to ${ask}${ask === 'stop' ? ': taking a last checkpoint' : ''}\n`)
    },
  })
  const client = await startJob(job, {
    ports,
    onEvent: (event) => running.onEvent(event),
    module: pathToFileURL(resolve(command.jobFile)),
    execArgv,
    ...(command.threads === undefined ? {} : { threads: command.threads }),
    args: command.jobArguments,
    configuration,
    start: command.start,
  })
  running.started(client)
  const progress = command.quiet ? undefined : new ProgressLine(client, ports.clock, process.stderr)
  stopOnSignals(client, ports.clock)
  onSupervisorGone(() => void client.stop().catch(() => undefined))
  try {
    const result = await client.result()
    progress?.close()
    await running.ended(result.outcome === 'stopped' ? 'stopped' : 'finished')
    process.stderr.write(`${summary(result)}\n`)
    return 0
  } catch (error) {
    progress?.close()
    const wanted = cancelled && MillraceError.is(error) && error.code === 'CANCELLED'
    await running.ended(wanted ? 'cancelled' : 'failed', error)
    if (wanted) {
      process.stderr.write(
        `millrace: ${client.jobName} was cancelled; the same command resumes it from its last checkpoint\n`,
      )
      return 0
    }
    const { restarts } = client.figures()
    if (restarts > 0) {
      process.stderr.write(
        `millrace: ${client.jobName} failed for good, after ${restarts} restarts inside this process\n`,
      )
    }
    if (isGivenUp(error, running.ran)) await tellDecided()
    throw error
  }
}

/** Begins the profiles of this thread; answers the flags of node that worker threads get for theirs. */
async function profiled(options: ProfileOptions): Promise<readonly string[]> {
  const { profileFlags, startProfiles } = await import('./profiles.ts')
  startProfiles(options)
  return profileFlags(options)
}

function summary(result: JobExecutionResult): string {
  const records = `${result.recordsIn.toLocaleString('en-US')} records in, ${result.recordsOut.toLocaleString('en-US')} out`
  const seconds = (result.durationMs / 1_000).toFixed(1)
  switch (result.outcome) {
    case 'finished':
      return `millrace: ${result.jobName} finished: ${records}, ${seconds} s`
    case 'already-finished':
      return `millrace: ${result.jobName} finished before: all of its input is read and committed; --fresh begins anew`
    case 'stopped':
      return `millrace: ${result.jobName} stopped with a last checkpoint: ${records}, ${seconds} s; the same command resumes it`
  }
}

/** npx and npm forward Ctrl-C to a process that the terminal has sent it to already: both are one wish. */
const SAME_WISH_MS = 500

function stopOnSignals(client: JobClient, clock: Clock): void {
  let askedMs: number | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    if (askedMs !== undefined) {
      if (clock.monotonic() - askedMs < SAME_WISH_MS) return
      process.stderr.write(
        `\nmillrace: ${signal} again: exiting at once; the next start resumes from the last checkpoint\n`,
      )
      process.exit(1)
    }
    askedMs = clock.monotonic()
    process.stderr.write(`\nmillrace: ${signal}: taking a last checkpoint, then stopping\n`)
    // What goes wrong on the way reaches the caller through `result`.
    client.stop().catch(() => undefined)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
}
