/**
 * One measured run: a fresh topic, the job in a process of its own, the check of its output record by record, one JSON line
 * on standard output. A run whose output is not right is an error, whatever its speed.
 *
 *     BOOTSTRAP=host:port [BROKER_PID=n] node bench/run-one.ts W1|W2|W3|L [--in TOPIC] [--from dist|source] [--form spread|in-place]
 *         [--parallelism N] [--threads N] [--checkpoint-ms N] [--exactly-once] [--linger-ms N] [--seconds N] [--node-flags="--cpu-prof ..."]
 */
import { parseArgs } from 'node:util'
import { type Answer, BenchTools } from './bench-tools.ts'
import { cpuSecondsOf, JobRun, type JobRunOptions, peakMegabytesOf } from './job-run.ts'

const WORKLOADS: Readonly<Record<string, { readonly job: string; readonly input: string }>> = {
  W1: { job: 'w1.ts', input: 'in5m' },
  W2: { job: 'w2.ts', input: 'in1m' },
  W3: { job: 'w3.ts', input: 'in1m' },
  L: { job: 'latency.ts', input: '' },
}
const LATENCY = { rate: 5_000, warmup: 5, seconds: 20 }

type Fields = Record<string, unknown>

interface Scene {
  readonly tools: BenchTools
  readonly bootstrap: string
  readonly workload: string
  readonly id: string
  readonly options: ReturnType<typeof parseOptions>
}

function parseOptions(): {
  readonly workload: string
  readonly in: string
  readonly from: 'dist' | 'source'
  readonly form: string
  readonly parallelism: number
  readonly threads: number
  readonly checkpointMs: number
  readonly exactlyOnce: boolean
  readonly lingerMs: string | undefined
  readonly seconds: number
  readonly nodeFlags: readonly string[]
} {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      in: { type: 'string' },
      from: { type: 'string', default: 'dist' },
      form: { type: 'string', default: 'spread' },
      parallelism: { type: 'string', default: '1' },
      threads: { type: 'string', default: '0' },
      'checkpoint-ms': { type: 'string', default: '1000' },
      'exactly-once': { type: 'boolean', default: false },
      'linger-ms': { type: 'string' },
      seconds: { type: 'string', default: String(LATENCY.seconds) },
      'node-flags': { type: 'string', default: '' },
    },
  })
  const [workload = ''] = positionals
  const known = WORKLOADS[workload]
  if (known === undefined) throw new Error(`"${workload}" is none of ${Object.keys(WORKLOADS).join(', ')}`)
  return {
    workload,
    in: values.in ?? known.input,
    from: values.from === 'source' ? 'source' : 'dist',
    form: values.form,
    parallelism: Number(values.parallelism),
    threads: Number(values.threads),
    checkpointMs: Number(values['checkpoint-ms']),
    exactlyOnce: values['exactly-once'] || workload === 'W3',
    lingerMs: values['linger-ms'],
    seconds: Number(values.seconds),
    nodeFlags: values['node-flags'].split(' ').filter((flag) => flag !== ''),
  }
}

function start({ workload, options, bootstrap, id }: Scene, input: string, output: string | undefined): JobRun {
  const { from, parallelism, threads, nodeFlags, form, checkpointMs, exactlyOnce, lingerMs } = options
  const copy = {
    form,
    'checkpoint-ms': checkpointMs,
    ...(output === undefined ? {} : { out: output }),
    ...(lingerMs === undefined ? {} : { 'linger-ms': lingerMs }),
    ...(workload === 'L' ? { 'exactly-once': exactlyOnce } : {}),
  }
  const parameters: JobRunOptions['parameters'] = {
    ...{ brokers: bootstrap, in: input, group: `bench-${id}` },
    ...(workload === 'W1' ? {} : copy),
  }
  return new JobRun({ from, parallelism, threads, nodeFlags, parameters, job: WORKLOADS[workload]?.job ?? '' })
}

async function bounded(scene: Scene): Promise<Fields> {
  const { tools, workload, options, id } = scene
  const input = options.in
  const records = Number((await tools.ask('count', { topic: input })).records)
  const output = workload === 'W1' ? undefined : `out-${id}`
  if (output !== undefined) await tools.ask('create', { topic: output })
  const broker = Number(process.env.BROKER_PID ?? -1)
  const brokerBefore = cpuSecondsOf(broker)
  const run = start(scene, input, output)
  const { totalS, meter } = await run.ended
  const brokerAfter = cpuSecondsOf(broker)
  if (meter === undefined) throw new Error('the job ended well and said nothing of its figures')
  const checked: Answer =
    output === undefined
      ? { verified: meter.counted === records }
      : await tools.ask('verify', { in: input, out: output })
  if (output !== undefined) await tools.ask('delete', { topic: output })
  const { verified, ...findings } = checked
  return {
    records,
    wall_s: round(meter.wall_s),
    total_s: round(totalS),
    records_per_s: Math.round(records / meter.wall_s),
    cpu_s: round(meter.cpu_s),
    rss_max_mb: meter.rss_max_mb,
    active_s: round(meter.active_s),
    first_record_s: round((meter.first_ms - run.startedMs) / 1_000),
    ...(brokerBefore === undefined || brokerAfter === undefined
      ? {}
      : { broker_cpu_s: round(brokerAfter - brokerBefore) }),
    in: input,
    ...findings,
    ...(output === undefined ? {} : { commit_ms: options.checkpointMs }),
    verified,
  }
}

async function latency(scene: Scene): Promise<Fields> {
  const { tools, options, id } = scene
  const [input, output] = [`lat-${id}`, `out-${id}`]
  for (const topic of [input, output]) await tools.ask('create', { topic })
  const run = start(scene, input, output)
  try {
    const { rate, warmup } = LATENCY
    const { seconds, exactlyOnce: exactly_once } = options
    const figures = await Promise.race([
      tools.ask('latency', { in: input, out: output, pid: run.pid, rate, warmup, seconds, exactly_once }),
      run.ended.then(() => Promise.reject(new Error('the job ended by itself'))),
    ])
    const { verified, ...numbers } = figures
    const rss_max_mb = peakMegabytesOf(run.pid)
    await run.stop()
    for (const topic of [input, output]) await tools.ask('delete', { topic })
    return { ...numbers, rss_max_mb, commit_ms: options.checkpointMs, verified }
  } finally {
    run.kill()
  }
}

/** Our names for what was run; those of the systems measured beside have the same form. */
function variantOf({ workload, exactlyOnce, form, lingerMs, from }: Scene['options']): string {
  const guarantee = workload === 'L' ? [exactlyOnce ? 'eos' : 'alo'] : []
  const linger = lingerMs === undefined ? [] : [`linger${lingerMs}`]
  return [
    ...(workload === 'W1' ? ['defaults'] : [form]),
    ...guarantee,
    ...linger,
    ...(from === 'dist' ? [] : [from]),
  ].join('+')
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}

const options = parseOptions()
const bootstrap = process.env.BOOTSTRAP ?? '127.0.0.1:19092'
const tools = await BenchTools.start(bootstrap)
try {
  const { workload, parallelism, threads } = options
  const scene: Scene = { tools, bootstrap, workload, options, id: Date.now().toString(36) }
  const figures = workload === 'L' ? await latency(scene) : await bounded(scene)
  const head = { system: 'millrace', variant: variantOf(options), workload, parallelism, threads }
  process.stdout.write(`${JSON.stringify({ ...head, ...figures, node: process.version })}\n`)
  if (figures.verified !== true) process.exitCode = 1
} finally {
  await tools.close()
}
