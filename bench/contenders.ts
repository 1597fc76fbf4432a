/**
 * The systems that run side by side: ours, Apache Flink from the folder named by ANCHORS_DIR, and kcat when it is installed.
 * Each answers one line of figures for a run of its own process; a run that is not verified is an error.
 */
import { type SpawnOptionsWithoutStdio, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { INPUTS } from './inputs.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RUN_LIMIT_MS = 900_000

/** The figures of a run, under the names that all systems share. */
export interface Line {
  readonly system: string
  readonly variant?: string
  readonly workload: string
  readonly verified: boolean
  readonly records: number
  readonly records_per_s?: number
  readonly wall_s?: number
  readonly total_s?: number
  readonly cpu_s?: number
  readonly rss_max_mb?: number
  readonly first_record_s?: number
  readonly p50_ms?: number
  readonly p99_ms?: number
}

export interface Broker {
  readonly bootstrap: string
  readonly pid: number | undefined
}

export interface Contender {
  /** As it is shown: the system and its variant. */
  readonly name: string
  run(): Promise<Line>
}

function environment(broker: Broker, more: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
  const pid = broker.pid === undefined ? {} : { BROKER_PID: String(broker.pid) }
  return { ...process.env, BOOTSTRAP: broker.bootstrap, ...pid, ...more }
}

export function millrace(broker: Broker, args: readonly string[], name = 'millrace'): Contender {
  const command = [join(ROOT, 'bench/run-one.ts'), ...args]
  return { name, run: () => runLine(process.execPath, command, { env: environment(broker), cwd: ROOT }) }
}

/** `args`: workload, parallelism, variant and where it has one the time between checkpoints, as the bench there takes them. */
export function flink(broker: Broker, folder: string, args: readonly string[], input: string | undefined): Contender {
  const [workload, parallelism, variant] = args
  const command = ['-cp', 'target/classes:target/kafka/*:target/lib/*', 'anchors.Bench', 'flink', ...args]
  const env = environment(broker, input === undefined ? {} : { IN: input })
  if (workload === undefined || parallelism === undefined || variant === undefined) throw new Error(args.join(' '))
  return { name: `flink ${parallelism} ${variant}`, run: () => runLine('java', command, { env, cwd: folder }) }
}

/** W1 by librdkafka: prints every value to nowhere. It has no figure but its own start and end, so its rate is over all. */
export function kcat(broker: Broker, topic: string): Contender {
  const records = INPUTS[topic] ?? 0
  const settings = ['check.crcs=false', 'max.partition.fetch.bytes=2097152', 'fetch.wait.max.ms=100']
  const flags = [...settings, 'queued.min.messages=100000'].flatMap((setting) => ['-X', setting]).join(' ')
  const read = `kcat -b ${broker.bootstrap} -C -e -q -o beginning -t ${topic} ${flags}`
  let counted: boolean | undefined
  return {
    name: 'kcat',
    run: async () => {
      counted ??= Number((await run('bash', ['-c', `${read} | wc -l`], {})).trim()) === records
      if (!counted) throw new Error(`kcat did not read the ${records} records of ${topic}`)
      const timed = `TIMEFORMAT='%R %U %S'; { time ${read} > /dev/null; } 2>&1 | tail -1`
      const [real = 0, user = 0, system = 0] = (await run('bash', ['-c', timed], {})).trim().split(' ').map(Number)
      const rate = Math.round(records / real)
      const figures = { records, total_s: real, wall_s: real, records_per_s: rate, cpu_s: user + system }
      return { system: 'kcat', workload: 'W1', ...figures, verified: counted }
    },
  }
}

export function kcatIsThere(): boolean {
  return spawnSync('kcat', ['-V']).status === 0
}

/** Builds the Java of the folder in a copy of it, kept in the cache folder: the folder itself is only read. */
export function buildAnchors(folder: string): string {
  const source = join(folder, 'java')
  const files = ['pom.xml', ...globSync('src/**/*.{java,properties}', { cwd: source })].sort()
  const hash = createHash('sha256')
  for (const file of files) hash.update(file).update(readFileSync(join(source, file)))
  const copy = join(ROOT, '.cache/bench', `anchors-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(join(copy, 'target/kafka'))) return copy
  mkdirSync(copy, { recursive: true })
  for (const file of files) cpSync(join(source, file), join(copy, file))
  const { status } = spawnSync('mvn', ['-q', '-B', 'package'], { cwd: copy, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error(`mvn package failed in ${copy}`)
  return copy
}

async function runLine(command: string, args: readonly string[], options: SpawnOptionsWithoutStdio): Promise<Line> {
  const printed = await run(command, args, options)
  const last = printed.trim().split('\n').at(-1) ?? ''
  const line: Line = JSON.parse(last)
  if (line.verified !== true) throw new Error(`not verified: ${last}`)
  return line
}

/** What it printed; rejects when it fails. Only this process id is ever ended, and it ends what it started. */
function run(command: string, args: readonly string[], options: SpawnOptionsWithoutStdio): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
    const onExit = (): void => void child.kill('SIGTERM')
    process.once('exit', onExit)
    const bound = setTimeout(() => child.kill('SIGTERM'), RUN_LIMIT_MS)
    let printed = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(bound)
      process.off('exit', onExit)
      if (code === 0) resolve(printed)
      else reject(new Error(`${command} ${args.join(' ')}: ${signal ?? `code ${code}`}\n${printed}`))
    })
  })
}
