/** Watermark strategies, job parameters, once-values and print: small things with exact answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/index.ts'
import type { SinkWriterContext } from '../core/index.ts'
import { JobParameters } from './job-parameters.ts'
import { jobStorage } from './job-storage.ts'
import { OnceValues } from './once-values.ts'
import { PrintSink } from './print-sink.ts'
import { SequenceSource } from './sequence-source.ts'
import { StreamExecutionEnvironment } from './stream-execution-environment.ts'
import { WatermarkStrategy } from './watermark-strategy.ts'

const coded = (code: string, pattern: RegExp) => (error: unknown) =>
  MillraceError.is(error) && error.code === code && pattern.test(error.message)

function watermarksOf(strategy: WatermarkStrategy<unknown>, timestamps: readonly number[]): number[] {
  const generator = strategy.createGenerator?.()
  const emitted: number[] = []
  const output = {
    emitWatermark: (timestamp: number) => void emitted.push(timestamp),
    markIdle: () => undefined,
    markActive: () => undefined,
  }
  generator?.onPeriodicEmit(output)
  for (const timestamp of timestamps) {
    generator?.onEvent(undefined, timestamp, output)
    generator?.onPeriodicEmit(output)
  }
  return emitted
}

test('bounded out-of-orderness stays one below what may still come, and says nothing before the first element', () => {
  assert.deepEqual(watermarksOf(WatermarkStrategy.forBoundedOutOfOrderness(10), [100, 90, 120]), [89, 89, 109])
  assert.deepEqual(watermarksOf(WatermarkStrategy.forMonotonousTimestamps(), [5, 7]), [4, 6])
  assert.deepEqual(watermarksOf(WatermarkStrategy.noWatermarks(), [5, 7]), [])
})

test('each generator keeps its own progress: one is made per split', () => {
  const strategy = WatermarkStrategy.forMonotonousTimestamps()
  assert.notEqual(strategy.createGenerator?.(), strategy.createGenerator?.())
})

test('a strategy is a value: with... answers a new one and keeps what was set before', () => {
  const plain = WatermarkStrategy.forMonotonousTimestamps()
  const full = plain
    .withTimestampAssigner((value: { at: number }) => value.at)
    .withIdleness(1_000)
    .withWatermarkAlignment('group', 5_000)
  assert.equal(plain.idleTimeoutMs, undefined)
  assert.equal(plain.timestampAssigner, undefined)
  assert.equal(full.idleTimeoutMs, 1_000)
  assert.equal(full.timestampAssigner?.({ at: 7 }, 0), 7)
  assert.equal(full.createGenerator, plain.createGenerator)
  assert.deepEqual(full.alignment, { group: 'group', maxDriftMs: 5_000, updateIntervalMs: 1_000 })
  assert.throws(
    () => WatermarkStrategy.forBoundedOutOfOrderness(-1),
    coded('OPTION_INVALID', /forBoundedOutOfOrderness/),
  )
  assert.throws(() => plain.withIdleness(Number.NaN), coded('OPTION_INVALID', /withIdleness/))
})

test('parameters come from the command line or from a record, typed by their default', () => {
  const params = JobParameters.of([
    '--brokers',
    'a:9092',
    '--dry-run',
    '--limit=5',
    '--text',
    'x=y',
    '--negative',
    '-3',
  ])
  assert.equal(params.get('brokers', 'localhost:9092'), 'a:9092')
  assert.equal(params.get('dry-run', false), true)
  assert.equal(params.get('limit', 1), 5)
  assert.equal(params.get('negative', 1), -3)
  assert.equal(params.get('text'), 'x=y')
  assert.equal(params.get('absent', 'default'), 'default')
  assert.equal(params.get('absent'), undefined)
  assert.equal(params.has('absent'), false)
  assert.deepEqual(JobParameters.of(params.toRecord()).toRecord(), params.toRecord())
  assert.equal(JobParameters.of({ limit: 5, 'dry-run': true }).get('limit', 1), 5)
})

test('a parameter that cannot be read as what is needed is refused by name', () => {
  const params = JobParameters.of({ limit: 'many', 'dry-run': 'perhaps' })
  assert.throws(() => params.get('limit', 1), coded('OPTION_INVALID', /--limit.*many/))
  assert.throws(() => params.get('dry-run', false), coded('OPTION_INVALID', /--dry-run.*perhaps/))
  assert.throws(() => params.required('brokers'), coded('OPTION_INVALID', /--brokers/))
  assert.throws(() => JobParameters.of(['brokers']), coded('USAGE', /"brokers"/))
})

test('a once-value is computed once, is the same everywhere, and must be plain data', async () => {
  let computed = 0
  const values = new OnceValues()
  const rules = (): { limit: number } => ({ limit: ++computed })
  assert.deepEqual(await values.get('rules', rules), { limit: 1 })
  assert.deepEqual(await values.get('rules', rules), { limit: 1 })
  const onWorker = new OnceValues(await values.toRecord(), false)
  assert.deepEqual(await onWorker.get('rules', rules), { limit: 1 })
  await assert.rejects(onWorker.get('other', rules), coded('JOB_FILE_INVALID', /"other"/))
  await assert.rejects(
    values.get('function', () => () => 1),
    coded('JOB_FILE_INVALID', /cannot be cloned/),
  )
})

test('a job directory is the folder of its name, below a path or a file URI', () => {
  const { configuration } = StreamExecutionEnvironment.createLocalEnvironment()
  assert.equal(jobStorage('orders', configuration), undefined)
  assert.match(jobStorage('orders', configuration, '.millrace')?.location ?? '', /\.millrace.orders$/)
  const at = (directory: string) =>
    StreamExecutionEnvironment.createLocalEnvironment({ 'execution.checkpointing.dir': directory }).configuration
  assert.equal(jobStorage('orders', at('file:///data/jobs'))?.location, '/data/jobs/orders')
  assert.throws(() => jobStorage('orders', at('s3://bucket/jobs')), coded('NOT_SUPPORTED', /s3/))
})

test('print writes one line an element, with the subtask before it where there are several', () => {
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  const context = { parallelism: 1, subtask: 0 } as unknown as SinkWriterContext
  new PrintSink({ write }).createWriter(context).write('plain')
  new PrintSink({ write, prefix: 'out' }).createWriter(context).write({ id: 1 })
  new PrintSink({ write, prefix: 'out' }).createWriter({ ...context, parallelism: 2 }).write(7)
  assert.deepEqual(lines, ['plain\n', 'out> { id: 1 }\n', 'out:1> 7\n'])
})

test('a sequence split survives its serialized form, and an unknown version is refused', () => {
  const { splitSerializer } = new SequenceSource({
    kind: 'data',
    count: 1,
    elementsPerSecond: undefined,
    generate: (index) => index,
  })
  const split = { index: 2, splits: 3, emitted: 2 ** 40 }
  assert.deepEqual(splitSerializer.deserialize(1, splitSerializer.serialize(split)), split)
  assert.equal(
    Buffer.from(splitSerializer.serialize({ index: 1, splits: 2, emitted: 3 })).toString('hex'),
    '3ff000000000000040000000000000004008000000000000',
  )
  assert.throws(() => splitSerializer.deserialize(2, new Uint8Array(24)), coded('STATE_INCOMPATIBLE', /version 2/))
})

test('settings that make no sense are refused where they are made', () => {
  const env = StreamExecutionEnvironment.createLocalEnvironment()
  assert.throws(() => env.configure({ 'parallelism.defualt': 2 }), coded('OPTION_INVALID', /parallelism\.default/))
  assert.throws(() => env.setParallelism(0), coded('OPTION_INVALID', /parallelism/))
  assert.throws(() => env.enableCheckpointing(0), coded('OPTION_INVALID', /enableCheckpointing/))
  assert.throws(() => env.fromData(1).uid(''), coded('OPTION_INVALID', /uid/))
  assert.throws(() => env.fromData(1).setParallelism(1.5), coded('OPTION_INVALID', /setParallelism/))
  assert.throws(() => env.fromGenerator((index) => index, { count: -1 }), coded('OPTION_INVALID', /count/))
})
