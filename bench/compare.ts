/**
 * Ours and others', alternately, on one broker and the same inputs: medians, ratios, and every run as a line in bench/results.
 *
 *     [ANCHORS_DIR=folder] [BOOTSTRAP=host:port BROKER_PID=n] npm run bench:compare -- [--reps 3] [--only W2-5m,L-eos]
 *         [--systems millrace,flink,kcat] [--from dist|source] [--name NAME] [--note TEXT] [--seconds 20]
 *
 * Without BOOTSTRAP it starts a broker of its own and ends it. Without ANCHORS_DIR Flink is left out, without kcat kcat.
 */
import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { KafkaServer } from '../src/testing/index.ts'
import { BenchTools } from './bench-tools.ts'
import {
  type Broker,
  buildAnchors,
  type Contender,
  flink,
  kcat,
  kcatIsThere,
  type Line,
  millrace,
} from './contenders.ts'
import { fillInputs } from './inputs.ts'
import { reportOf } from './report.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

interface Case {
  readonly name: string
  readonly input?: string
  /** On the caller's thread; `ownThreads`: also on two worker threads. */
  readonly ours: readonly string[]
  readonly ownThreads?: boolean
  /** What Flink is given; several where it is not known which is best on a machine. */
  readonly flink: readonly string[]
  readonly kcat?: boolean
}

const CASES: readonly Case[] = [
  { name: 'W1-5m', input: 'in5m', ours: ['W1'], flink: ['W1 2 tuned', 'W1 2 tuned+reuse'], kcat: true },
  { name: 'W2-5m', input: 'in5m', ours: ['W2'], ownThreads: true, flink: ['W2 1 tuned+reuse', 'W2 2 tuned+reuse'] },
  { name: 'W3-5m', input: 'in5m', ours: ['W3'], ownThreads: true, flink: ['W3 2 tuned+reuse'] },
  { name: 'W2-1m', input: 'in1m', ours: ['W2'], flink: ['W2 1 tuned+reuse', 'W2 2 tuned+reuse'] },
  { name: 'W3-1m', input: 'in1m', ours: ['W3'], flink: ['W3 2 tuned+reuse'] },
  { name: 'L-alo', ours: ['L'], flink: ['L 1 defaults+alo 1000'] },
  { name: 'L-eos', ours: ['L', '--exactly-once', '--checkpoint-ms', '100'], flink: ['L 1 defaults+eos 100'] },
]

const TWO_THREADS = 'millrace 2 threads'

const { values: options } = parseArgs({
  options: {
    reps: { type: 'string', default: '3' },
    only: { type: 'string', default: CASES.map(({ name }) => name).join(',') },
    systems: { type: 'string', default: 'millrace,flink,kcat' },
    from: { type: 'string', default: 'dist' },
    name: { type: 'string', default: 'compare' },
    note: { type: 'string', default: '' },
    seconds: { type: 'string', default: '20' },
  },
})
const systems = new Set(options.systems.split(','))

function chosenCases(): Case[] {
  return options.only.split(',').map((name) => {
    const found = CASES.find((candidate) => candidate.name === name)
    if (found === undefined) throw new Error(`--only ${name}: none of ${CASES.map((one) => one.name).join(', ')}`)
    return found
  })
}

function contendersOf(one: Case, broker: Broker, anchors: string | undefined): Contender[] {
  const input = one.input === undefined ? ['--seconds', options.seconds] : ['--in', one.input]
  const args = [...one.ours, ...input, '--from', options.from]
  const found = [millrace(broker, args)]
  if (one.ownThreads === true) {
    found.push(millrace(broker, [...args, '--parallelism', '2', '--threads', '2'], TWO_THREADS))
  }
  if (anchors !== undefined) found.push(...one.flink.map((args) => flink(broker, anchors, args.split(' '), one.input)))
  if (one.kcat === true && one.input !== undefined && systems.has('kcat') && kcatIsThere()) {
    found.push(kcat(broker, one.input))
  }
  return found
}

interface Rivalry {
  readonly name: string
  readonly contenders: readonly Contender[]
  readonly lines: Map<string, Line[]>
}

/** One run of each contender; failures are written down and told by the exit code. */
async function runOnce(
  { name, lines, contenders }: Rivalry,
  rep: number,
  write: (line: object) => void,
): Promise<void> {
  for (const contender of contenders) {
    const load = loadavg()[0]
    try {
      const line = await contender.run()
      lines.get(contender.name)?.push(line)
      write({ case: name, rep, at: new Date().toISOString(), load: Number(load?.toFixed(2)), ...line })
      const figure = line.records_per_s?.toLocaleString('en-US') ?? `p50 ${line.p50_ms} p99 ${line.p99_ms}`
      process.stderr.write(`${name} ${contender.name} ${rep}: ${figure}\n`)
    } catch (error) {
      process.exitCode = 1
      const message = error instanceof Error ? error.message : String(error)
      write({ case: name, rep, contender: contender.name, error: message.slice(0, 2_000) })
      process.stderr.write(`${name} ${contender.name} ${rep} FAILED: ${message}\n`)
    }
  }
}

function resultsFile(): string {
  const folder = join(ROOT, 'bench/results')
  mkdirSync(folder, { recursive: true })
  return join(folder, `${new Date().toISOString().slice(0, 10)}-${options.name}.jsonl`)
}

function commitId(): string {
  const git = (...args: readonly string[]): string => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim()
  try {
    const changed = git('status', '--porcelain', '--', 'src') === '' ? '' : ' with changes in src'
    return `${git('rev-parse', '--short', 'HEAD')}${changed}`
  } catch {
    return 'unknown'
  }
}

function headLine(): object {
  const command = `npm run bench:compare -- ${process.argv.slice(2).join(' ')}`.trim()
  return {
    kind: 'session',
    at: new Date().toISOString(),
    command,
    note: options.note,
    commit: commitId(),
    node: process.version,
    cores: cpus().length,
    load: loadavg()[0],
    cpu: cpus()[0]?.model,
    memory_gb: Math.round(totalmem() / 2 ** 30),
  }
}

/** Figures of a machine that others use at the same time say little; they are taken all the same, and marked by their load. */
function warnWhenBusy(): void {
  const [load = 0] = loadavg()
  if (load < cpus().length / 2) return
  process.stderr.write(
    `The load of this machine is ${load.toFixed(1)} on ${cpus().length} cores before the first run.\n`,
  )
}

async function compare(broker: Broker): Promise<void> {
  const cases = chosenCases()
  warnWhenBusy()
  const folder = process.env.ANCHORS_DIR
  const anchors = folder !== undefined && folder !== '' && systems.has('flink') ? buildAnchors(folder) : undefined
  const tools = await BenchTools.start(broker.bootstrap)
  try {
    await fillInputs(tools, new Set(cases.flatMap(({ input }) => input ?? [])))
  } finally {
    await tools.close()
  }
  const file = resultsFile()
  const write = (line: object): void => appendFileSync(file, `${JSON.stringify(line)}\n`)
  write(headLine())
  const rivalries = cases.map((one): Rivalry => {
    const contenders = contendersOf(one, broker, anchors)
    return { name: one.name, contenders, lines: new Map(contenders.map(({ name }) => [name, []])) }
  })
  // The workloads by turns as well, because W3 is also compared with W2, and a machine's speed changes within minutes.
  for (let rep = 1; rep <= Number(options.reps); rep++) {
    for (const rival of rivalries) await runOnce(rival, rep, write)
  }
  process.stdout.write(`${reportOf(rivalries)}\n`)
  if (existsSync(file)) process.stderr.write(`every run: ${file}\n`)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
const given = process.env.BOOTSTRAP
if (given !== undefined && given !== '') {
  const pid = process.env.BROKER_PID
  await compare({ bootstrap: given, pid: pid === undefined ? undefined : Number(pid) })
} else {
  const server = await KafkaServer.start({ jvm: 'throughput', heapMb: 1_024 })
  try {
    await compare({ bootstrap: server.bootstrapServers, pid: server.nodes[0]?.pid })
  } finally {
    await server.close()
  }
}
