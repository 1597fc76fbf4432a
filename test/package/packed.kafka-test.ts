/**
 * The package as people get it: packed, installed into an empty folder by the commands of the README, type-checked by a
 * user's project, and running the README's job against a real Kafka on the oldest, a middle and the newest Node.
 */
import assert from 'node:assert/strict'
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KafkaRecord, KafkaServer } from 'millrace/testing'
import { publicApi } from '../../scripts/api.ts'
import { ROOT, readSource } from '../rules/source-files.ts'
import { codeBlocksOf, programsOfTheDocumentation } from './code-blocks.ts'
import { nodeRelease } from './node-release.ts'
import { commandsOfTheReadme, install, MANIFEST, pack } from './packed-package.ts'
import { type Ended, run, start } from './run.ts'

const OLDEST_NODE = /\^(\d+\.\d+\.\d+)/.exec(MANIFEST.engines.node)?.[1] ?? ''
const MIDDLE_NODE = '24.21.0'
const NEWEST_NODE = '26.10.0'
/**
 * On disk, with all dependencies of one platform and without zod: 1.6 MB are ours and 2.9 MB the native libraries for CRC,
 * snappy and LZ4. The bound leaves room to grow but none for source maps, tests or one more dependency to slip in.
 */
const INSTALLED_BYTES_MAX = 6_000_000
const ORDERS_A_RUN = 2_000
const PARTITIONS = 4
/** Ends what hangs. */
const COMMIT_TIMEOUT_MS = 180_000

type Way = 'service' | 'terminal'

const folder = mkdtempSync(join(tmpdir(), 'millrace-packed-'))
const project = join(folder, 'first-job')
const bin = (name: string): string => join(ROOT, 'node_modules', '.bin', name)

let tarball = ''
let server: KafkaServer | undefined

before(async () => {
  const starting = KafkaServer.start().then((kafka) => {
    server = kafka
  })
  try {
    tarball = await pack(folder)
  } finally {
    await starting
  }
  await install(tarball, project)
  writeFileSync(join(project, 'orders.ts'), ordersOfTheReadme())
})

after(async () => {
  await server?.close()
  rmSync(folder, { recursive: true, force: true })
})

function ordersOfTheReadme(): string {
  const blocks = codeBlocksOf('README.md').filter(({ text }) => text.includes("defineJob('orders'"))
  assert.equal(blocks.length, 1, 'the README shows the job orders once')
  return blocks[0]?.text ?? ''
}

function bytesBelow(path: string): number {
  const stat = lstatSync(path)
  return stat.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0) : stat.size
}

describe('the packed package', () => {
  it('is right in the eyes of publint and attw, as a package of ES modules', async () => {
    await Promise.all([
      run(bin('publint'), ['run', tarball, '--strict'], { cwd: folder }),
      run(bin('attw'), [tarball, '--profile', 'esm-only', '--no-emoji'], { cwd: folder }),
    ])
  })

  it('has what is needed at run time, and nothing that is there for tests', async () => {
    const { stdout } = await run('tar', ['tzf', tarball], { cwd: folder })
    const files = stdout.trim().split('\n')
    for (const needed of [
      'cli/main.js',
      'entry/index.d.ts',
      'testing/kafka-server/KafkaTools.java',
      'testing/kafka-server/ZooKeeperNode.java',
    ]) {
      assert.ok(files.includes(`package/dist/${needed}`), `${needed} is missing`)
    }
    const wrong = files.filter((path) =>
      /\.(?:(?:sim-|kafka-)?test|test-[\w-]+|fuzz|bench|fixture)\.|\.map$/.test(path),
    )
    assert.deepEqual(wrong, [])
  })

  it('takes little space, and brings no packages but its codecs, its checksum and YAML', (t) => {
    const modules = join(project, 'node_modules')
    const bytes = bytesBelow(modules) - bytesBelow(join(modules, 'zod'))
    t.diagnostic(`installed: ${(bytes / 1e6).toFixed(1)} MB, ours ${bytesBelow(join(modules, 'millrace')) / 1e6} MB`)
    assert.ok(bytes < INSTALLED_BYTES_MAX, `${bytes} bytes`)
    const said = Number(/Installed, it is ([\d.]+) MB/.exec(readSource('README.md').text)?.[1])
    assert.ok(Math.abs(bytes / 1e6 - said) < 1, `the README says ${said} MB`)
    const names = readdirSync(modules).filter((name) => !name.startsWith('.'))
    assert.deepEqual(names.sort(), [
      '@antoniomuso',
      '@napi-rs',
      '@node-rs',
      'lz4-napi',
      'millrace',
      'snappy',
      'yaml',
      'zod',
    ])
  })

  it('has types that a strict project can use, and the programs of the documentation are right by them', async () => {
    const programs = programsOfTheDocumentation()
    assert.ok(programs.length > 0)
    const files = programs.map(({ path, line, text }) => {
      const name = `${path.replaceAll(/[^\w]+/g, '-')}-line-${line}.ts`
      writeFileSync(join(project, name), text)
      return name
    })
    writeFileSync(join(project, 'user-project.ts'), USER_PROJECT)
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(userSettings([...files, 'user-project.ts'])))
    await run(bin('tsc'), ['-p', 'tsconfig.json'], { cwd: project })
  })

  it('has the public surface of api/*.d.ts; `node scripts/build.ts --api` writes it anew', () => {
    for (const [file, text] of publicApi(join(folder, 'staged', 'dist'))) {
      assert.equal(readFileSync(join(ROOT, 'api', file), 'utf8'), text, `api/${file}`)
    }
  })

  it('answers --version and help, and tells wrong usage by exit code 2', async () => {
    const millrace = join(project, 'node_modules', '.bin', 'millrace')
    const cwd = project
    assert.equal((await run(millrace, ['--version'], { cwd })).stdout, `${MANIFEST.version}\n`)
    assert.match((await run(millrace, ['help'], { cwd })).stdout, /millrace run JOB\.ts/)
    for (const wrong of [['walk'], ['run'], ['run', 'missing.ts'], ['run', 'orders.ts', '--no-such-option']]) {
      const { stderr } = await run(millrace, wrong, { cwd, code: 2 })
      assert.match(stderr, /^millrace: .*\[(?:USAGE|JOB_FILE_INVALID)\]\n/)
      assert.doesNotMatch(stderr, /^\s+at /m)
    }
  })
})

describe('the job of the README', () => {
  const releases = [
    { name: `Node ${OLDEST_NODE}, the oldest`, version: OLDEST_NODE, way: 'service' },
    { name: `Node ${MIDDLE_NODE}`, version: MIDDLE_NODE, way: 'terminal' },
    { name: `Node ${NEWEST_NODE}, the newest`, version: NEWEST_NODE, way: 'service' },
  ] as const

  it('goes on from one Node to the next, and every large order is there once', async (t) => {
    assert.ok(server !== undefined)
    await server.createTopic('orders', { partitions: PARTITIONS })
    await server.createTopic('large-orders', { partitions: PARTITIONS })
    for (const [index, { name, version, way }] of releases.entries()) {
      await t.test(
        `on ${name}, as a ${way === 'service' ? 'service stopped by SIGTERM' : 'command of npx stopped by Ctrl-C'}`,
        async () => {
          assert.ok(server !== undefined)
          const node = await nodeRelease(version)
          const count = (index + 1) * ORDERS_A_RUN
          // Each partition ends with a large order, so that all are read when all large ones are committed.
          const partition = ({ id }: Order): number => id % PARTITIONS
          await server.java.produceJson('orders', ordersBelow(count).slice(-ORDERS_A_RUN), { partition })
          const ended = await runUntilCommitted(server, node, way, ordersBelow(count).filter(isLarge).length)
          // npx ends by the signal itself, in the terminal's eyes.
          if (way === 'service') assert.equal(ended.code, 0, ended.stderr)
          assert.match(ended.stderr, /stopped with a last checkpoint: 2,000 records in/)
        },
      )
    }
    assertExact(await server.java.readAll('large-orders'), ordersBelow(releases.length * ORDERS_A_RUN).filter(isLarge))
  })

  it('stands on methods of Buffer that both the oldest and the newest Node have', async () => {
    const outcomes = [OLDEST_NODE, NEWEST_NODE].map(async (version) => {
      const node = await nodeRelease(version)
      const files = ['src/kafka/records/batch-reader.test.ts', 'src/kafka/records/batch-writer.test.ts']
      const args = ['--conditions=millrace-source', '--test', '--test-reporter=tap', ...files]
      const { stdout } = await run(join(node, 'node'), args, { cwd: ROOT, node })
      assert.match(stdout, /^# pass [1-9]\d+$/m)
    })
    await Promise.all(outcomes)
  })
})

interface Order {
  readonly id: number
  readonly user: string
  readonly amount: number
}

/** Texts beyond ASCII too, because those go another way through the decoder and the encoder. */
function ordersBelow(count: number): Order[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    user: id % 3 === 0 ? `ü${id % 7}` : `u${id % 7}`,
    amount: id % 200,
  }))
}

function isLarge(order: Order): boolean {
  return order.amount > 100
}

/**
 * Runs the README's command until the output has so many committed records, and then stops it. A service starts the
 * program itself and sends it SIGTERM; a terminal sends Ctrl-C to npx and to the job, and npx hands it on once more.
 */
async function runUntilCommitted(kafka: KafkaServer, node: string, way: Way, expected: number): Promise<Ended> {
  const [readme = ''] = commandsOfTheReadme('npx millrace run orders.ts')
  const program = way === 'service' ? 'node_modules/.bin/millrace' : 'npx millrace'
  const command = readme.replace('npx millrace', program).replace('localhost:9092', kafka.bootstrapServers)
  const job = start('sh', ['-c', `exec ${command}`], { cwd: project, node })
  try {
    let found = 0
    for (const deadline = Date.now() + COMMIT_TIMEOUT_MS; found < expected; await sleep(200)) {
      assert.ok(Date.now() < deadline, `${found} of ${expected} large orders are committed\n${job.printed()}`)
      assert.equal(job.child.exitCode, null, job.printed())
      found = (await kafka.java.readAll('large-orders')).length
    }
    if (way === 'service') job.child.kill('SIGTERM')
    else process.kill(-(job.child.pid ?? 0), 'SIGINT')
    return await job.ended
  } finally {
    job.destroy()
  }
}

function assertExact(records: readonly KafkaRecord[], expected: readonly Order[]): void {
  const found = records.map(({ key, value }) => `${key?.toString()} ${value?.toString()}`)
  assert.deepEqual(found.sort(), expected.map((order) => `${order.user} ${JSON.stringify(order)}`).sort())
}

function userSettings(files: readonly string[]): object {
  return {
    compilerOptions: {
      ...{ target: 'es2024', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false },
      ...{
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        verbatimModuleSyntax: true,
        allowImportingTsExtensions: true,
      },
      ...{ types: ['node'], typeRoots: [join(ROOT, 'node_modules', '@types')] },
    },
    files: ['orders.ts', ...files],
  }
}

/** What a user might write; an expected error that is none is an error as well. */
const USER_PROJECT = `
import { defineJob, MillraceError, runJob, StreamExecutionEnvironment, WatermarkStrategy } from 'millrace'
import { JsonSchema, KafkaSource, OffsetsInitializer } from 'millrace/kafka'
import { KafkaServer } from 'millrace/testing'
import { z } from 'zod'
import orders from './orders.js'

const source = KafkaSource.builder()
  .setBootstrapServers('localhost:9092')
  .setTopics('numbers')
  .setBounded(OffsetsInitializer.latest())
  .setValueOnlyDeserializer(new JsonSchema(z.object({ n: z.number() })))
  .build()

export const job = defineJob('numbers', (env) => {
  const numbers = env.fromSource(source, WatermarkStrategy.noWatermarks(), 'Numbers').map((value) => value.n)
  const typed: number = 1
  numbers.filter((n) => n > typed).print()
  // @ts-expect-error the schema says that n is a number
  numbers.map((n) => n.toUpperCase())
  // @ts-expect-error a function that returns a promise is not for map
  numbers.map(async (n) => n)
})

export async function all(): Promise<string> {
  const env = StreamExecutionEnvironment.createLocalEnvironment()
  const collected: string[] = []
  for await (const text of env.fromData([1, 2]).map((n) => String(n)).executeAndCollect()) collected.push(text)
  const server = await KafkaServer.start({ nodes: 1 })
  try {
    const result = await runJob(orders, { args: ['--brokers', server.bootstrapServers] })
    return result.outcome
  } catch (error) {
    return MillraceError.is(error) ? error.code : 'unknown'
  } finally {
    await server.close()
  }
}
`
