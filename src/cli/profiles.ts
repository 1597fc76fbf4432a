/**
 * CPU and heap profiles of the job's process, taken by V8's own samplers through an inspector session inside the process:
 * no flags of node, no port, no second process.
 *
 * What always holds: the files are written when the process exits in whatever way it does so itself (finished, stopped by
 * a signal, failed, stopped by a second signal); only SIGKILL and crashes of the machine leave none.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { join, resolve } from 'node:path'
import { MillraceError } from '../base/index.ts'

export interface ProfileOptions {
  readonly cpu: boolean
  readonly heap: boolean
  readonly directory: string
}

/** Microseconds between two looks at the stack; node's own default. Finer costs more than it tells on the record path. */
const CPU_INTERVAL_US = 1_000
/** Mean bytes between two sampled allocations. V8's default of 512 KiB; what is allocated per record shows at once. */
const HEAP_INTERVAL_BYTES = 512 * 1_024

/** Begins now, and writes at the exit of the process. */
export function startProfiles(options: ProfileOptions): void {
  const directory = resolve(options.directory)
  makeDirectory(directory)
  const name = `millrace-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}-${process.pid}`
  const session = new Session()
  session.connect()
  const files: (() => string)[] = []
  if (options.cpu) {
    session.post('Profiler.enable')
    session.post('Profiler.setSamplingInterval', { interval: CPU_INTERVAL_US })
    session.post('Profiler.start')
    files.push(() => write(session, 'Profiler.stop', join(directory, `${name}.cpuprofile`)))
  }
  if (options.heap) {
    session.post('HeapProfiler.enable')
    // Objects that are gone again count too: on the record path they are what matters.
    session.post('HeapProfiler.startSampling', {
      samplingInterval: HEAP_INTERVAL_BYTES,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    })
    files.push(() => write(session, 'HeapProfiler.stopSampling', join(directory, `${name}.heapprofile`)))
  }
  process.once('exit', () => {
    for (const file of files) process.stderr.write(`millrace: ${file()}\n`)
  })
}

/** The same for worker threads, whose profiles node itself writes when they end, into the same folder. */
export function profileFlags({ cpu, heap, directory }: ProfileOptions): string[] {
  const where = resolve(directory)
  return [
    ...(cpu ? ['--cpu-prof', `--cpu-prof-dir=${where}`] : []),
    ...(heap ? ['--heap-prof', `--heap-prof-dir=${where}`] : []),
  ]
}

/** In a session of one's own thread the answer is there before `post` returns, which is what an exit handler needs. */
function write(session: Session, method: 'Profiler.stop' | 'HeapProfiler.stopSampling', path: string): string {
  let said = `no profile in ${path}: the inspector did not answer`
  session.post(method, (error: Error | null, answer?: { readonly profile: object }) => {
    try {
      if (error !== null || answer === undefined) throw error ?? new Error('no answer')
      writeFileSync(path, JSON.stringify(answer.profile))
      said = `profile written to ${path}`
    } catch (problem) {
      said = `no profile in ${path}: ${problem instanceof Error ? problem.message : String(problem)}`
    }
  })
  return said
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true })
  } catch (cause) {
    throw new MillraceError('USAGE', `--prof-dir ${directory}: the folder cannot be made`, {
      cause,
      next: 'Nothing ran. Name a folder that can be written to.',
    })
  }
}
