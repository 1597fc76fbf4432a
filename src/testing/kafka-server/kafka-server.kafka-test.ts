// What other tests rely on: that a real Kafka starts, obeys, tells the truth about what was written, and goes away.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { KAFKA_VERSIONS } from './kafka-installation.ts'
import { KafkaServer } from './kafka-server.ts'
import { KafkaServerError } from './kafka-server-error.ts'

/** A transaction that expires before it is written fails its writer: then the next limit is tried. The last bears a slow machine. */
const SHORT_LIMITS_MS = [1_000, 8_000, 60_000]

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function within(timeoutMs: number, holds: () => boolean | Promise<boolean>): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(20)) if (await holds()) return true
  return holds()
}

async function firstThatSucceeds<T, R>(tries: readonly T[], attempt: (one: T) => Promise<R>): Promise<R> {
  for (const [index, one] of tries.entries()) {
    try {
      return await attempt(one)
    } catch (error) {
      if (index === tries.length - 1) throw error
    }
  }
  return assert.fail('nothing to try')
}

const pidsOf = (server: KafkaServer): number[] =>
  [...server.nodes.map((node) => node.pid), server.java.pid].filter((pid) => pid !== undefined)

const texts = (records: readonly { readonly value: Buffer | null }[]): string[] =>
  records.map((record) => String(record.value))

describe('one node', { timeout: 600_000 }, () => {
  let server: KafkaServer
  before(async () => {
    server = await KafkaServer.start({ transactionVersion: 1, listeners: { EXTRA: 'PLAINTEXT' } })
  })
  after(() => server.close())

  it('what the Java producer sent, the Java consumer returns with every field', async () => {
    await server.createTopic('fields', { partitions: 2 })
    const headers = [
      { key: 'a', value: Buffer.from([0, 255]) },
      { key: 'é', value: null },
    ]
    const sent = await server.java.produce(
      'fields',
      [
        { partition: 1, timestamp: 1_234_567_890_123, key: 'ключ', value: 'значение', headers },
        { partition: 0, value: null, key: Buffer.from([1, 2]) },
        { partition: 1, key: null, value: '' },
        { partition: 1, value: 'x'.repeat(900_000) },
      ],
      { compression: 'lz4' },
    )
    assert.deepEqual(sent, {
      count: 4,
      partitions: [
        { partition: 0, count: 1, first: 0, last: 0 },
        { partition: 1, count: 3, first: 0, last: 2 },
      ],
    })
    const records = await server.java.readAll('fields')
    const [tombstone] = records.filter((record) => record.partition === 0)
    assert.deepEqual([tombstone?.value, tombstone?.key], [null, Buffer.from([1, 2])])
    const [first, second, third] = records.filter((record) => record.partition === 1)
    assert.equal(first?.timestamp, 1_234_567_890_123)
    assert.equal(first?.timestampType, 'CreateTime')
    assert.deepEqual([String(first?.key), String(first?.value)], ['ключ', 'значение'])
    assert.deepEqual(first?.headers, headers)
    assert.deepEqual([second?.offset, second?.key, second?.value?.length], [1, null, 0])
    assert.deepEqual([third?.offset, third?.value?.length], [2, 900_000])
  })

  it('an aborted and an open transaction are seen uncommitted only, and an ended one is seen by all', async () => {
    await server.createTopic('transactions')
    await server.java.produce('transactions', [{ value: 'before' }])
    await server.java.produce('transactions', [{ value: 'aborted' }], { transactionalId: 'a', end: 'abort' })
    await server.java.produce('transactions', [{ value: 'open' }], { transactionalId: 'b', end: 'open' })
    await server.java.produce('transactions', [{ value: 'after' }])
    const all = ['before', 'aborted', 'open', 'after']
    assert.deepEqual(texts(await server.java.readAll('transactions', { isolation: 'read_uncommitted' })), all)
    assert.deepEqual(texts(await server.java.readAll('transactions')), ['before'])
    assert.deepEqual(await server.java.offsets('transactions', 'last-stable'), [3])
    assert.deepEqual(await server.java.offsets('transactions', 'latest'), [5])
    const open = await server.java.describeTransaction('b')
    assert.equal(open.state, 'Ongoing')
    assert.deepEqual(open.partitions, [{ topic: 'transactions', partition: 0 }])
    const producers = await server.java.producers('transactions', 0)
    assert.equal(producers.find((each) => each.producerId === open.producerId)?.transactionStartOffset, 3)

    await server.java.endTransaction('b', 'commit')
    assert.deepEqual(texts(await server.java.readAll('transactions')), ['before', 'open', 'after'])
    const states = new Map((await server.java.transactions()).map((each) => [each.transactionalId, each.state]))
    assert.deepEqual([states.get('a'), states.get('b')], ['CompleteAbort', 'CompleteCommit'])
  })

  it('an abandoned transaction is ended by its timeout', async () => {
    await server.createTopic('abandoned')
    const abandon = (transactionalId: string, timeoutMs: number): Promise<unknown> => {
      const properties = { 'transaction.timeout.ms': timeoutMs }
      return server.java.produce('abandoned', [{ value: 'lost' }], { transactionalId, end: 'abandon', properties })
    }
    const short = await firstThatSucceeds(SHORT_LIMITS_MS, async (limitMs) => {
      await abandon(`within-${limitMs}`, limitMs)
      return `within-${limitMs}`
    })
    await abandon('long', 900_000)
    const stateOf = async (id: string): Promise<string> => (await server.java.describeTransaction(id)).state
    const ended = await within(120_000, async () => (await stateOf(short)) === 'CompleteAbort')
    assert.ok(ended, `the one with the short time limit is ${await stateOf(short)}`)
    assert.equal(await stateOf('long'), 'Ongoing', 'nobody but its time limit ends it')
    await server.java.fence('long')
  })

  it('half a million generated records are written and read back whole', async () => {
    const count = 500_000
    await server.createTopic('many', { partitions: 4 })
    const sent = await server.java.produceGenerated('many', { count, key: 'k{i%7}', value: '{i}', partitions: 4 })
    assert.equal(sent.count, count)
    const records = await server.java.readAll('many')
    assert.equal(records.length, count)
    const next = [0, 1, 2, 3]
    for (const record of records) {
      const expected = next[record.partition] ?? -1
      if (String(record.value) !== `${expected}`) assert.fail(`${record.partition}@${record.offset}: ${record.value}`)
      next[record.partition] = expected + 4
    }
    assert.equal(String(records.find((record) => String(record.value) === '17')?.key), 'k3')
  })

  it('topics, groups and features are what they were set to', async () => {
    await server.createTopic('settings', { config: { 'max.message.bytes': 2_000 } })
    const described = await server.java.describeTopic('settings')
    assert.equal(described.config['retention.ms'], '-1')
    assert.equal(described.config['max.message.bytes'], '2000')
    await server.java.createPartitions('settings', 3)
    await server.java.produce('settings', [{ partition: 0, value: 'a' }])
    await server.java.produce('settings', [{ partition: 0, value: 'b' }])
    await server.java.deleteRecords('settings', 0, 1)
    assert.deepEqual(await server.java.offsets('settings', 'earliest'), [1, 0, 0])
    await server.java.setGroupOffsets('group', [{ topic: 'settings', partition: 0, offset: 2 }])
    assert.deepEqual(await server.java.groupOffsets('group'), [
      { topic: 'settings', partition: 0, offset: 2, metadata: '' },
    ])
    await server.deleteTopic('settings')
    assert.equal((await server.java.listTopics()).includes('settings'), false)

    assert.equal((await server.java.features())['transaction.version'], 1)
    await server.setFeature('transaction.version', 2)
    assert.equal((await server.nodes[0]?.features())?.get('transaction.version'), 2)
    assert.equal((await server.java.features())['transaction.version'], 2)
  })

  it('a refusal carries the name of Kafka’s exception', async () => {
    await server.createTopic('twice')
    await assert.rejects(server.createTopic('twice'), (error) => {
      assert.ok(error instanceof KafkaServerError)
      assert.equal(error.javaClass, 'TopicExistsException')
      assert.match(error.message, /twice.*\n.*java-tools\.log/)
      return true
    })
  })

  it('a further listener has a port of its own', async () => {
    assert.notEqual(server.bootstrapServersOf('EXTRA'), server.bootstrapServers)
    const port = Number(server.bootstrapServersOf('EXTRA').split(':')[1])
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port }, () => {
        socket.destroy()
        resolve()
      }).on('error', reject)
    })
    assert.throws(() => server.bootstrapServersOf('OTHER'), /OTHER/)
  })

  it('a killed node comes back on its port with its data', async () => {
    const [node] = server.nodes
    assert.ok(node)
    await server.createTopic('kept')
    await server.java.produce('kept', [{ value: 'kept' }])
    await node.kill()
    assert.equal(node.state, 'stopped')
    await node.start()
    assert.deepEqual(texts(await server.java.readAll('kept')), ['kept'])
  })
})

it('three nodes replicate, go on without one, and are ended while one is paused', { timeout: 600_000 }, async () => {
  const server = await KafkaServer.start({ nodes: 3 })
  try {
    assert.equal(server.nodes.length, 3)
    await server.createTopic('in', { partitions: 3 })
    // A node that was slow for a moment comes back in sync by itself.
    let isr = ''
    const inSync = await within(90_000, async () => {
      const { partitions } = await server.java.describeTopic('in')
      isr = partitions.map((each) => [...each.isr].sort().join()).join(' ')
      return isr === '1,2,3 1,2,3 1,2,3'
    })
    assert.ok(inSync, isr)
    assert.equal((await server.java.features())['transaction.version'], 2)
    await server.java.produceGenerated('in', { count: 30, value: '{i}', partitions: 3 })
    await server.nodes[0]?.stop()
    await server.java.produceGenerated('in', { count: 30, from: 30, value: '{i}', partitions: 3 })
    const records = await server.java.readAll('in')
    const numbers = records.map((record) => Number(record.value)).sort((a, b) => a - b)
    assert.deepEqual(
      numbers,
      Array.from({ length: 60 }, (_, i) => i),
    )
    server.nodes[1]?.pause()
    assert.equal(server.nodes[1]?.state, 'paused')
  } finally {
    const pids = pidsOf(server)
    assert.equal(pids.length, 3)
    await server.close()
    await server.close()
    assert.deepEqual(pids.filter(isAlive), [])
    assert.equal(existsSync(server.directory), false)
  }
})

it('the older line of Kafka starts, beside another server that starts at the same time', {
  timeout: 900_000,
}, async () => {
  const both = await Promise.allSettled([KafkaServer.start({ version: KAFKA_VERSIONS.older }), KafkaServer.start()])
  const servers = both.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  try {
    assert.deepEqual(
      both.map((each) => each.status),
      ['fulfilled', 'fulfilled'],
    )
    assert.deepEqual(
      servers.map((server) => server.version),
      [KAFKA_VERSIONS.older, KAFKA_VERSIONS.newest],
    )
    for (const server of servers) {
      await server.createTopic('in')
      await server.java.produceJson('in', [{ version: server.version }], { transactionalId: 't' })
      assert.deepEqual(texts(await server.java.readAll('in')), [JSON.stringify({ version: server.version })])
    }
    assert.equal((await servers[0]?.java.features())?.['transaction.version'], undefined)
  } finally {
    await Promise.all(servers.map((server) => server.close()))
  }
})

it('a server that cannot start says why, with the lines of its log', { timeout: 600_000 }, async () => {
  const start = KafkaServer.start({ properties: { 'log.retention.ms': 'for ever' } })
  await assert.rejects(start, (error) => {
    assert.ok(error instanceof KafkaServerError)
    assert.match(error.message, /node-1\.properties/)
    assert.match(error.message, /Invalid value for ever for configuration log\.retention\.ms/)
    return true
  })
})

it('nothing is left of a test process that was killed, not even a paused node', { timeout: 600_000 }, async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./abandoned-server.fixture.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = new Promise((resolve) => child.once('exit', resolve))
  let printed = ''
  for await (const chunk of child.stdout) {
    printed += String(chunk)
    if (printed.includes('\n')) break
  }
  const left = JSON.parse(printed) as { readonly pids: readonly number[]; readonly directory: string }
  assert.equal(left.pids.length, 2)
  assert.deepEqual(left.pids.filter(isAlive), left.pids)
  assert.equal(existsSync(left.directory), true)
  child.kill('SIGKILL')
  await gone
  assert.ok(await within(60_000, () => !left.pids.some(isAlive)), `alive: ${left.pids.filter(isAlive)}`)
  assert.ok(await within(60_000, () => !existsSync(left.directory)), `${left.directory} is there still`)
})
