/**
 * `npm run example`: what the README promises, on a real Apache Kafka. It starts one, fills the topic `orders`, runs
 * orders.ts, kills it with SIGKILL in the middle, runs it again by the same command, and counts the output with Kafka's own
 * consumer at read_committed. Exit code 1 when an order is missing or doubled.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { KafkaServer } from 'millrace/testing'

const ORDERS = 1_000_000
/** Amounts run from 0 to 499, so 399 of each 500 orders are above 100. */
const LARGE = (ORDERS / 500) * 399

const root = fileURLToPath(new URL('..', import.meta.url))
const say = (line: string): boolean => process.stdout.write(`${line}\n`)

say('Starting Apache Kafka (the first time its jars are fetched through Maven) ...')
const server = await KafkaServer.start()
const checkpoints = await mkdtemp(join(tmpdir(), 'millrace-example-'))
try {
  await server.createTopic('orders', { partitions: 4 })
  await server.createTopic('large-orders', { partitions: 4 })
  say(`Writing ${ORDERS.toLocaleString('en-US')} orders ...`)
  await server.java.produceGenerated('orders', {
    count: ORDERS,
    key: 'u{i%1000}',
    value: '{"id":{i},"user":"u{i%1000}","amount":{i%500}}',
    partitions: 4,
  })
  await killedInTheMiddle()
  say('Running the same command again ...')
  const again = await ended(runJob())
  if (again !== 0) throw new Error(`the job ended with exit code ${again}`)
  await account()
} finally {
  await server.close()
  await rm(checkpoints, { recursive: true, force: true })
}

function runJob(): ChildProcess {
  const own = ['--conditions=millrace-source', 'src/cli/main.ts', 'run', 'examples/orders.ts', '-p', '2']
  const where = ['-D', `execution.checkpointing.dir=${checkpoints}`]
  const args = ['--', '--brokers', server.bootstrapServers, '--until-end', '--checkpoint-ms', '300']
  return spawn(process.execPath, [...own, ...where, ...args], { cwd: root, stdio: 'inherit' })
}

async function killedInTheMiddle(): Promise<void> {
  say('Running the job ...')
  const job = runJob()
  const done = ended(job)
  const log = join(checkpoints, 'orders', 'log')
  // Its log has the attempt, and then a record a completed checkpoint.
  for (let waited = 0; waited < 60_000; waited += 20) {
    const records = await readdir(log).catch(() => [])
    if (records.length >= 3 || job.exitCode !== null) break
    await sleep(20)
  }
  if (job.exitCode !== null)
    throw new Error(`the job ended by itself with exit code ${job.exitCode} before it was killed`)
  job.kill('SIGKILL')
  await done
  say('Killed it with SIGKILL in the middle.')
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)))
}

async function account(): Promise<void> {
  const seen = new Map<number, number>()
  const records = await server.java.readAll('large-orders', { isolation: 'read_committed' })
  for (const record of records) {
    const order: { readonly id: number } = JSON.parse(record.value?.toString() ?? '')
    seen.set(order.id, (seen.get(order.id) ?? 0) + 1)
  }
  const doubled = records.length - seen.size
  const missing = LARGE - seen.size
  say(`Large orders expected ${LARGE}, committed ${records.length}: missing ${missing}, doubled ${doubled}.`)
  if (missing !== 0 || doubled !== 0) process.exitCode = 1
}
