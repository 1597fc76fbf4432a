/**
 * Kafka's own Java programs against the embedded broker's TCP port, unchanged: what they can do with Apache Kafka they can do
 * with it. Each program is small and short; what is checked is what it did, not how fast.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { JavaWorld, type Program } from './java-world.ts'
import { flinkJars, streamsJars } from './maven-jars.ts'

const CONSOLE_PRODUCER = 'org.apache.kafka.tools.ConsoleProducer'
const CONSOLE_CONSUMER = 'org.apache.kafka.tools.consumer.ConsoleConsumer'
const GROUPS = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
const TRANSACTIONS = 'org.apache.kafka.tools.TransactionsCommand'
const FLINK_COPY = fileURLToPath(new URL('FlinkCopy.java', import.meta.url))
const WORD_COUNT = fileURLToPath(new URL('WordCount.java', import.meta.url))

/** Ends what hangs. */
const WAIT_MS = 180_000

/** Polls until it holds; what was seen last when it does not in time. */
async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: string,
  seen: () => unknown = () => '',
): Promise<void> {
  const until = Date.now() + WAIT_MS
  while (!(await holds())) {
    assert.ok(Date.now() < until, `not in time: ${what}; ${JSON.stringify(seen())}`)
    await sleep(100)
  }
}

suite("Kafka's Java programs on the embedded broker", () => {
  let world: JavaWorld
  const at = (): string[] => ['--bootstrap-server', world.bootstrapServers]

  before(async () => {
    world = await JavaWorld.start()
  })
  after(() => world.close())

  test('what the console producer writes the console consumer reads', async () => {
    const lines = Array.from({ length: 1_000 }, (_, i) => `line ${i}`)
    world.broker.createTopic('lines', { partitions: 3 })
    const options = { input: `${lines.join('\n')}\n` }
    await world.run([CONSOLE_PRODUCER, ...at(), '--topic', 'lines', '--compression-codec', 'zstd'], options)
    const args = ['--topic', 'lines', '--from-beginning', '--max-messages', '1000', '--timeout-ms', '120000']
    const output = await world.run([CONSOLE_CONSUMER, ...at(), ...args])
    const read = output.split('\n').filter((line) => line.startsWith('line '))
    assert.deepEqual(read.sort(), lines.sort())
  })

  test('the verifiable producer has all it sent acknowledged, into a topic that its writing makes', async () => {
    const args = ['--topic', 'verified', '--max-messages', '500', '--acks', '-1']
    const output = await world.run(['org.apache.kafka.tools.VerifiableProducer', ...at(), ...args])
    assert.match(output, /"sent":500,"acked":500/)
    assert.deepEqual(await world.tools.offsets('verified'), [500])
  })

  test('the performance producer, in transactions, ends with all records committed', async () => {
    world.broker.createTopic('performance', { partitions: 2 })
    const load = ['--topic', 'performance', '--num-records', '20000', '--record-size', '115', '--throughput', '-1']
    const transactions = ['--transaction-duration-ms', '200']
    const output = await world.run(['org.apache.kafka.tools.ProducerPerformance', ...load, ...at(), ...transactions])
    assert.match(output, /20000 records sent/)
    const committed = await world.tools.readAll('performance', { isolation: 'read_committed' })
    assert.equal(committed.length, 20_000)
  })

  test('the command for transactions lists, describes and forcefully ends them', async () => {
    world.broker.createTopic('hanging')
    await world.tools.produce('hanging', [{ value: 'open' }], { transactionalId: 'left-open', end: 'open' })
    assert.match(await world.run([TRANSACTIONS, ...at(), 'list']), /left-open\s+1\s+\d+\s+Ongoing/)
    const described = await world.run([TRANSACTIONS, ...at(), 'describe', '--transactional-id', 'left-open'])
    assert.match(described, /Ongoing.*hanging-0/)
    const found = await world.run([
      TRANSACTIONS,
      ...at(),
      'describe-producers',
      '--topic',
      'hanging',
      '--partition',
      '0',
    ])
    assert.match(found, /^\d+\s+\d+\s+-?\d+\s+0\s+\d+\s+0\s*$/m)
    await world.run([TRANSACTIONS, ...at(), 'abort', '--topic', 'hanging', '--partition', '0', '--start-offset', '0'])
    assert.deepEqual(await world.tools.offsets('hanging', 'last-stable'), [2], 'nothing holds readers back any more')
    assert.deepEqual(await world.tools.readAll('hanging'), [])
  })

  test('two members of a group share its partitions, and one takes over when the other is killed', async () => {
    world.broker.createTopic('shared', { partitions: 4 })
    const member = (): Program =>
      world.start(
        [
          'org.apache.kafka.tools.VerifiableConsumer',
          ...at(),
          ...['--topic', 'shared', '--group-id', 'pair', '--session-timeout', '15000', '--reset-policy', 'earliest'],
        ],
        { timeoutMs: 600_000 },
      )
    const one = member()
    await eventually(
      () => assigned(one).length === 4,
      'one member has all',
      () => one.output(),
    )
    const two = member()
    const outputs = (): string[] => [one.output(), two.output()]
    await eventually(
      () => assigned(one).length === 2 && assigned(two).length === 2,
      'two members have two each',
      outputs,
    )
    assert.deepEqual([...assigned(one), ...assigned(two)].sort(), [0, 1, 2, 3])
    const records = Array.from({ length: 400 }, (_, i) => ({ value: `${i}`, partition: i % 4 }))
    await world.tools.produce('shared', records)
    await eventually(() => consumed(one) + consumed(two) === 400, 'all is read, nothing twice', outputs)
    assert.equal(consumed(one), 200)
    // A member tells what it read before it commits that: one that dies in between would have it read again.
    let committed: readonly number[] = []
    const allCommitted = async (): Promise<boolean> => {
      committed = (await world.tools.groupOffsets('pair')).map(({ offset }) => offset)
      return committed.length === 4 && committed.every((offset) => offset === 100)
    }
    await eventually(allCommitted, 'all that was read is committed', () => committed)
    two.stop('SIGKILL')
    await two.ended
    await eventually(() => assigned(one).length === 4, 'the other takes over', outputs)
    const described = await world.run([GROUPS, ...at(), '--describe', '--group', 'pair'])
    assert.equal(described.match(/^pair\s+shared\s+\d\s+100\s+100\s+0\s/gm)?.length, 4, described)
    one.stop()
    await one.ended
    const groups = await world.tools.groupOffsets('pair')
    assert.deepEqual(
      groups.map(({ offset }) => offset),
      [100, 100, 100, 100],
    )
    assert.match(await world.run([GROUPS, ...at(), '--delete', '--group', 'pair']), /successful/)
  })

  test("Java's admin client makes, changes, fills, empties and describes topics", async () => {
    await world.run([
      'org.apache.kafka.tools.TopicCommand',
      ...at(),
      '--create',
      '--topic',
      'made',
      '--partitions',
      '2',
    ])
    await world.tools.setTopicConfig('made', { 'max.message.bytes': 2_000, 'cleanup.policy': 'delete' })
    await world.tools.createPartitions('made', 3)
    const { partitions, config } = await world.tools.describeTopic('made')
    assert.equal(partitions.length, 3)
    assert.equal(config['max.message.bytes'], '2000')
    const at1000 = (i: number): { value: string; partition: number; timestamp: number } => ({
      value: `${i}`,
      partition: 0,
      timestamp: 1_000 + i,
    })
    await world.tools.produce(
      'made',
      Array.from({ length: 10 }, (_, i) => at1000(i)),
    )
    assert.deepEqual(await world.tools.offsets('made', 1_004), [4, -1, -1])
    await world.tools.deleteRecords('made', 0, 7)
    assert.deepEqual(await world.tools.offsets('made', 'earliest'), [7, 0, 0])
    assert.equal((await world.tools.readAll('made')).length, 3)
    await world.tools.setGroupOffsets('by-hand', [{ topic: 'made', partition: 0, offset: 9 }])
    assert.deepEqual(
      (await world.tools.groupOffsets('by-hand')).map(({ offset }) => offset),
      [9],
    )
    await assert.rejects(world.tools.produce('made', [{ value: 'x'.repeat(3_000) }]), /RecordTooLarge/)
    await world.run(['org.apache.kafka.tools.TopicCommand', ...at(), '--delete', '--topic', 'made'])
    assert.equal((await world.tools.listTopics()).includes('made'), false)
  })

  test('Kafka Streams with exactly_once_v2 counts words, and goes on where it was when it is killed', async () => {
    world.broker.createTopic('words', { partitions: 2 })
    world.broker.createTopic('counts')
    const jars = await streamsJars()
    const start = (): Program =>
      world.start([WORD_COUNT, world.bootstrapServers, 'words', 'counts', 'word-count'], {
        classpath: [jars],
        timeoutMs: 600_000,
      })
    let counts: Record<string, number> = {}
    const counted = async (): Promise<Record<string, number>> => {
      counts = {}
      for (const { key, value } of await world.tools.readAll('counts')) counts[String(key)] = Number(value)
      return counts
    }
    const write = (lines: readonly string[]): Promise<unknown> =>
      world.tools.produce(
        'words',
        lines.map((value, i) => ({ value, partition: i % 2 })),
      )
    await write(Array.from({ length: 50 }, () => 'to be or not to be'))
    const first = start()
    await eventually(
      async () => (await counted()).to === 100,
      'the first words are counted',
      () => counts,
    )
    first.stop('SIGKILL')
    await first.ended
    await write(Array.from({ length: 50 }, () => 'to be or not to be'))
    const second = start()
    // A commit may come between any two words.
    const all = { to: 200, be: 200, or: 100, not: 100 }
    const allCounted = async (): Promise<boolean> => isDeepStrictEqual(await counted(), all)
    await eventually(allCounted, 'the others are counted after the crash', () => counts)
    // Every step of the count was committed once: nothing was counted twice on the way.
    const steps = (await world.tools.readAll('counts')).filter(({ key }) => String(key) === 'or')
    assert.deepEqual(
      steps.map(({ value }) => Number(value)),
      Array.from({ length: 100 }, (_, i) => i + 1),
    )
    second.stop()
    await second.ended
  })

  /** Flink loads the job's own classes by name, so that they have to be files. */
  async function compiled(): Promise<string[]> {
    const [jars, classes] = [await flinkJars(), join(world.directory, 'classes')]
    const compiler = ['-m', 'jdk.compiler/com.sun.tools.javac.Main', '-cp', jars, '-d', classes]
    if (!existsSync(classes)) await world.run([...compiler, FLINK_COPY])
    return [classes, jars]
  }

  for (const failAt of [0, 1_500]) {
    const what = failAt === 0 ? 'to its end' : `through a failure at record ${failAt}`
    test(`Apache Flink's Kafka connector copies exactly once ${what}`, { timeout: 600_000 }, async () => {
      const [input, output, prefix] = [`flink-in-${failAt}`, `flink-out-${failAt}`, `flink-${failAt}`]
      world.broker.createTopic(input, { partitions: 2 })
      world.broker.createTopic(output, { partitions: 2 })
      const values = Array.from({ length: 3_000 }, (_, i) => `value ${i}`)
      await world.tools.produce(
        input,
        values.map((value, i) => ({ value, partition: i % 2 })),
      )
      const classpath = await compiled()
      const checkpoints = join(world.directory, `checkpoints-${failAt}`)
      const args = ['FlinkCopy', world.bootstrapServers, input, output, prefix, checkpoints, String(failAt)]
      const said = await world.run(['-Xmx512m', ...args], { classpath, timeoutMs: 400_000 })
      const mapped = Number(/finished \w+ after (\d+) records mapped/.exec(said)?.[1])
      if (failAt === 0) assert.equal(mapped, values.length, said)
      else assert.ok(mapped > values.length, `it went back to a checkpoint: ${said}`)
      const committed = (await world.tools.readAll(output)).map(({ value }) => String(value))
      assert.deepEqual(committed.sort(), values.map((value) => `${value} copied`).sort())
      const ends = await world.tools.offsets(output, 'latest')
      assert.deepEqual(await world.tools.offsets(output, 'last-stable'), ends, 'no transaction was left open')
    })
  }
})

for (const transactionVersion of [2, 1] as const) {
  test(`Java's transactional producer and read_committed consumer, transaction version ${transactionVersion}`, async () => {
    const world = await JavaWorld.start({ transactionVersion, nodes: 3, topics: { out: { partitions: 2 } } })
    try {
      const { tools } = world
      assert.equal((await tools.features())['transaction.version'], transactionVersion)
      const records = (name: string): { value: string; partition: number }[] =>
        Array.from({ length: 20 }, (_, i) => ({ value: `${name}${i}`, partition: i % 2 }))
      const transactionalId = 'writer'
      await tools.produce('out', records('a'), { transactionalId, end: 'commit' })
      await tools.produce('out', records('b'), { transactionalId, end: 'abort' })
      await tools.produce('out', records('c'), { transactionalId, end: 'open' })
      assert.equal((await tools.describeTransaction(transactionalId)).state, 'Ongoing')
      const early = await tools.readAll('out')
      assert.equal(early.length, 20)
      world.broker.moveLeader('out', 0)
      world.broker.stopNode(world.broker.leaderOf('out', 1))
      await tools.endTransaction(transactionalId, 'commit')
      const values = (await tools.readAll('out')).map(({ value }) => String(value)).sort()
      assert.deepEqual(values, [...records('a'), ...records('c')].map(({ value }) => value).sort())
      assert.equal((await tools.readAll('out', { isolation: 'read_uncommitted' })).length, 60)
      await tools.produce('out', records('d'), { transactionalId: 'fenced', end: 'open' })
      await tools.fence('fenced')
      await assert.rejects(tools.endTransaction('fenced', 'commit'), /Fenced|InvalidProducerEpoch/)
      assert.equal((await tools.readAll('out')).length, 40)
    } finally {
      await world.close()
    }
  })
}

function events(program: Program): { name: string; partitions?: { partition: number }[]; count?: number }[] {
  return program
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line))
}

/** The partitions a verifiable consumer has now. */
function assigned(program: Program): number[] {
  let now: number[] = []
  for (const { name, partitions } of events(program)) {
    if (name === 'partitions_assigned') now = (partitions ?? []).map(({ partition }) => partition)
    else if (name === 'partitions_revoked') now = []
  }
  return now
}

function consumed(program: Program): number {
  return events(program).reduce((sum, { name, count }) => (name === 'records_consumed' ? sum + (count ?? 0) : sum), 0)
}
