/** Users' jobs in the simulated world: right ones pass, wrong ones are told with a seed that repeats. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromIn, toOut } from '../../../test/sim/copy-ends.ts'
import { DeliveryGuarantee, KafkaRecordSerializationSchema } from '../../sink/index.ts'
import { defineJob, type JobDefinition, WatermarkStrategy } from '../../stream/index.ts'
import { type SimulatedRun, type SimulateOptions, SimulationFailure, simulate } from './simulate.ts'

function copyJob(guarantee: DeliveryGuarantee): JobDefinition {
  return defineJob('copy', (env, params) => {
    const brokers = params.required('brokers')
    const source = fromIn(brokers, 300, ({ value }) => String(value)).build()
    const record = KafkaRecordSerializationSchema.builder<string>()
      .setKeySerializationSchema((value) => Buffer.from(`key-${Number(value) % 3}`))
      .setValueSerializationSchema((value) => Buffer.from(value))
    const sink = toOut(brokers, guarantee, record).build()
    env.fromSource(source, WatermarkStrategy.noWatermarks(), 'in').uid('in').sinkTo(sink).uid('out')
  })
}

const RECORDS = Array.from({ length: 150 }, (_, n) => ({ key: `key-${n % 3}`, value: `${n}` }))
const TOPICS: SimulateOptions['topics'] = { in: { partitions: 2, records: RECORDS }, out: { partitions: 2 } }

test('an exactly-once job comes through every seed, and the report says what it went through', async () => {
  const runs: SimulatedRun[] = []
  const report = await simulate(copyJob(DeliveryGuarantee.EXACTLY_ONCE), {
    seeds: 12,
    topics: TOPICS,
    onSeed: (run) => void runs.push(run),
  })
  assert.equal(report.seeds, 12)
  assert.ok(report.crashes > 5 && report.checkpoints > 12, JSON.stringify(report))
  assert.deepEqual(
    runs.map(({ seed }) => seed),
    Array.from({ length: 12 }, (_, n) => n + 1),
  )
  const again: SimulatedRun[] = []
  const onSeed = (run: SimulatedRun): void => void again.push(run)
  await simulate(copyJob(DeliveryGuarantee.EXACTLY_ONCE), { seeds: [5], topics: TOPICS, onSeed })
  assert.deepEqual(again[0], runs[4], 'a seed is the same run again')
})

test('a job that writes at least once is told to write twice, by a seed that repeats', async () => {
  const job = copyJob(DeliveryGuarantee.AT_LEAST_ONCE)
  const failure = async (seeds: number | readonly number[]): Promise<SimulationFailure> => {
    try {
      await simulate(job, { seeds, topics: TOPICS, faults: ['crash'] })
    } catch (error) {
      assert.ok(error instanceof SimulationFailure)
      return error
    }
    return assert.fail('no seed found it')
  }
  const found = await failure(50)
  assert.match(found.message, /topic out, key key-\d: \d+ records, 50 in peace/)
  assert.match(found.plan, /crash at/)
  assert.equal((await failure([found.seed])).message, found.message)
})

test('a job that cannot come to its end in peace is told before any seed', async () => {
  const broken = defineJob('broken', () => {
    throw new Error('this job cannot be built')
  })
  await assert.rejects(simulate(broken, { topics: TOPICS }), /in peace.*this job cannot be built/s)
})
