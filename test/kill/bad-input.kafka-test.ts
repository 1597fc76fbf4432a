/**
 * What goes wrong outside the engine: brokers, topics, stored checkpoints, job files, records. Each ends with a message for
 * a person on standard error and with exit code 1 or 2, and loses nothing: a later good start goes on exactly.
 */
import assert from 'node:assert/strict'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { KafkaServer } from '../../src/testing/index.ts'
import { MISTAKES } from './bad-job.ts'
import { createInput, KillScene, type KillSceneOptions } from './kill-scene.ts'

const RECORDS = 20_000
const BAD_JOB = fileURLToPath(new URL('./bad-job.ts', import.meta.url))
const NOBODY_THERE = { parameters: { brokers: '127.0.0.1:1', 'api-timeout-ms': 3_000 } }
/** A bare stack trace, or an error that nobody foresaw. */
const BARE = /^\s*(at |Error: |TypeError: |node:internal)/

describe('bad input', { timeout: 900_000 }, () => {
  let server: KafkaServer
  let scenes = 0
  before(async () => {
    server = await KafkaServer.start()
    await createInput(server, 'in', RECORDS)
  })
  after(() => server.close())

  it('a broker that cannot be reached', async () => {
    await withScene({}, async (scene) => {
      await fails(scene, 1, ['[KAFKA_UNREACHABLE]', '127.0.0.1:1'], NOBODY_THERE)
      await scene.finish()
      await scene.assertExact()
    })
  })

  it('a broker that cannot be reached any more when the job is started again', async () => {
    await withScene({}, async (scene) => {
      await scene.dieAt('completed-written', 3)
      await fails(scene, 1, ['[KAFKA_UNREACHABLE]', '127.0.0.1:1'], NOBODY_THERE)
      await scene.finish()
      await scene.assertExact()
    })
  })

  it('a topic to read that does not exist', async () => {
    await withScene({}, async (scene) => {
      await fails(scene, 1, ['[KAFKA_UNKNOWN_TOPIC]', 'nowhere'], { parameters: { in: 'nowhere' } })
      await scene.finish()
      await scene.assertExact()
    })
  })

  it('a topic to write that does not exist', async () => {
    await withScene({}, async (scene) => {
      await fails(scene, 1, ['[KAFKA_UNKNOWN_TOPIC]', 'nowhere'], { parameters: { out: 'nowhere' } })
      await scene.finish()
      await scene.assertExact()
    })
  })

  for (const file of ['_metadata', 'state'] as const) {
    it(`a completed checkpoint whose ${file} was changed`, async () => {
      await withScene({}, async (scene) => {
        await scene.dieAt('completed-written', 3)
        const path = join(scene.directory, 'chk-3-1', file)
        const whole = readFileSync(path)
        const changed = Buffer.from(whole)
        changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1
        writeFileSync(path, changed)
        await fails(scene, 1, ['[CHECKPOINT_DAMAGED]', 'chk-3-1', scene.output, 'on-damaged-checkpoint'])
        writeFileSync(path, whole)
        await scene.finish()
        await scene.assertExact()
      })
    })
  }

  it('a completed checkpoint whose folder is gone', async () => {
    await withScene({}, async (scene) => {
      await scene.dieAt('completed-written', 3)
      const path = join(scene.directory, 'chk-3-1')
      renameSync(path, `${path}.away`)
      await fails(scene, 1, ['[CHECKPOINT_DAMAGED]', 'chk-3-1', 'missing'])
      renameSync(`${path}.away`, path)
      await scene.finish()
      await scene.assertExact()
    })
  })

  it('a poison record names topic, partition and offset; without its cause the job goes on', async () => {
    await withScene({}, async (scene) => {
      const says = [
        'after 2 restarts',
        '[DESERIALIZATION_FAILED]',
        'in-3',
        'offset 500',
        'this value is not what was agreed',
      ]
      await fails(scene, 1, says, { parameters: { poison: '{"id":2003}' } })
      await scene.finish()
      await scene.assertExact()
    })
  })

  it('a job file that is not there, that throws, or that has no job', async () => {
    await withScene({}, async (scene) => {
      const missing = join(scene.root, 'missing.ts')
      await fails(scene, 2, ['[JOB_FILE_INVALID]', missing], { jobFile: missing })
      const throwing = join(scene.root, 'throwing.ts')
      writeFileSync(throwing, "throw new Error('no luck today')\n")
      await fails(scene, 2, ['[JOB_FILE_INVALID]', throwing, 'no luck today'], { jobFile: throwing })
      const broken = join(scene.root, 'broken.ts')
      writeFileSync(broken, 'const = 1\n')
      await fails(scene, 2, ['[JOB_FILE_INVALID]', broken], { jobFile: broken })
      const jobless = join(scene.root, 'jobless.ts')
      writeFileSync(jobless, 'export const job = 1\n')
      await fails(scene, 2, ['[JOB_FILE_INVALID]', jobless, 'export default defineJob'], { jobFile: jobless })
      const options = { jobFile: BAD_JOB, parameters: { mistake: 'throws' } }
      await fails(scene, 2, ['[JOB_FILE_INVALID]', 'kill-job', 'cannot read what is not there'], options)
    })
  })

  for (const mistake of MISTAKES) {
    it(`a wrong use of the builders: ${mistake}`, async () => {
      await withScene({}, async (scene) => {
        const options = { jobFile: BAD_JOB, parameters: { mistake } }
        await fails(scene, 2, [/\[(OPTION_INVALID|GRAPH_INVALID)\]/], options)
      })
    })
  }

  it('a wrong option, a wrong value and a missing parameter', async () => {
    await withScene({}, async (scene) => {
      const interval = { 'execution.checkpointing.intervall': 100 }
      await fails(scene, 2, ['[OPTION_INVALID]', 'did you mean', 'checkpointing.interval"'], {
        configuration: interval,
      })
      const value = { 'execution.checkpointing.interval': 'soon' }
      await fails(scene, 2, ['[OPTION_INVALID]', 'checkpointing.interval', '"soon"'], { configuration: value })
      await fails(scene, 2, ['[OPTION_INVALID]', '--mistake'], { jobFile: BAD_JOB })
      await fails(scene, 2, ['[USAGE]', '--wrong'], { flags: ['--wrong'] })
    })
  })

  async function fails(...[scene, ...how]: [KillScene, ...Parameters<KillScene['failsWith']>]): Promise<void> {
    const { stderr } = await scene.failsWith(...how)
    assert.doesNotMatch(stderr, BARE)
  }

  async function withScene(
    options: Partial<KillSceneOptions>,
    play: (scene: KillScene) => Promise<void>,
  ): Promise<void> {
    const name = `bad-${++scenes}`
    const scene = await KillScene.create({
      server,
      name,
      input: 'in',
      records: RECORDS,
      recordsPerCheckpoint: 100,
      ...options,
    })
    try {
      await play(scene)
    } finally {
      scene.close()
    }
  }
})
