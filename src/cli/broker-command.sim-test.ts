/** `millrace broker` as a process: a client writes and reads through its port, and signals and mistakes end it with few words. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SystemClock, SystemRandom, silentLogger, TcpNetwork } from '../base/index.ts'
import { KafkaAdmin, KafkaCluster, Producer, parseClusterOptions, parseProducerOptions } from '../kafka/index.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
/** For a process that hangs. */
const LIFE_MS = 100_000

const children: ChildProcess[] = []
after(() => {
  for (const child of children) child.kill('SIGKILL')
})

interface Run {
  readonly child: ChildProcess
  /** Where it listens. */
  readonly address: Promise<string>
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>
}

function broker(...options: string[]): Run {
  const child = spawn(process.execPath, ['--conditions=millrace-source', MAIN, 'broker', ...options])
  children.push(child)
  const bound = setTimeout(() => child.kill('SIGKILL'), LIFE_MS)
  let [stdout, stderr] = ['', '']
  const address = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      const found = /at (\S+);/.exec(stdout)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('close', () => reject(new Error(`the broker ended before it listened: ${stdout}${stderr}`)))
  })
  // Those that are to be refused have none.
  address.catch(() => undefined)
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(bound)
    return { code: code as number | null, stderr }
  })
  return { child, address, ended }
}

test('a client writes and finds its records on every node, SIGTERM ends it with exit code 0', async () => {
  const run = broker('--port', '0', '--nodes', '2', '--topic', 'orders:4')
  const options = parseClusterOptions({ 'bootstrap.servers': await run.address })
  const ports = {
    network: new TcpNetwork(),
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: silentLogger,
  }
  const cluster = new KafkaCluster(options, ports)
  const producer = new Producer(cluster, parseProducerOptions({}))
  const topic = await producer.topic('orders')
  for (let i = 0; i < 40; i++) topic.append(i % 4, 1, null, `${i}`)
  await producer.seal()
  await producer.close()
  const ends = await new KafkaAdmin(cluster).listOffsets(
    [0, 1, 2, 3].map((partition) => ({ topic: 'orders', partition, at: 'latest' as const })),
  )
  assert.deepEqual(
    ends.map(({ offset }) => offset),
    [10, 10, 10, 10],
  )
  await cluster.close()
  run.child.kill('SIGTERM')
  assert.deepEqual(await run.ended, { code: 0, stderr: '' })
})

test('a port that somebody else has is named, with exit code 2', async () => {
  const first = broker('--port', '0')
  const port = (await first.address).split(':')[1] ?? ''
  const { code, stderr } = await broker('--port', port).ended
  assert.equal(code, 2)
  assert.match(stderr, new RegExp(`port ${port}: a port that is free`))
  assert.match(stderr, /EADDRINUSE/)
  assert.doesNotMatch(stderr, /\n\s+at /, 'no stack')
  first.child.kill('SIGINT')
  assert.equal((await first.ended).code, 0)
})

for (const [options, message] of [
  [['--port', '80000'], /--port 80000: a whole number from 0 to 65535/],
  [['--transaction-version', '3'], /--transaction-version 3: a whole number from 1 to 2/],
  [['--topic', 'orders:none'], /--topic none: a whole number/],
  [['--topic', 'a b', '--port', '0'], /the topic name "a b" has other characters/],
  [['--colour'], /Unknown option '--colour'/],
] as const) {
  test(`millrace broker ${options.join(' ')} is refused with exit code 2`, async () => {
    const { code, stderr } = await broker(...options).ended
    assert.equal(code, 2)
    assert.match(stderr, message)
  })
}
