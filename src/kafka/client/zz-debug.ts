import { KafkaServer } from '../../testing/index.ts'
import { connect } from './fetcher.test-reading.ts'
import { Fetcher } from './fetcher.ts'
import { parseFetcherOptions, parseProducerOptions } from './options.ts'
import { Producer } from './producer.ts'
const server = await KafkaServer.start({ transactionVersion: 2 })
const cluster = connect(server.bootstrapServers)
const log=(...a:unknown[])=>console.log(...a)
for (let run = 0; run < Number(process.argv[2] ?? 5); run++) {
  const topic = `killed-${run}`
  await server.createTopic(topic, { partitions: 2 })
  const orig = cluster.connection.bind(cluster)
  const trace: string[] = []
  const wrapped: any = Object.create(cluster, { connection: { value: async (n: number, p: any) => {
    const c: any = await orig(n, p); 
    return { get closed() { return c.closed }, version: (a: any, r: any) => c.version(a, r), send: (api: any, req: any, o: any) => {
      const what = req.topicData.flatMap((t: any) => t.partitionData.map((x: any) => `p${x.index} pid${x.records.readBigInt64BE(43)} seq${x.records.readInt32BE(53)} n${x.records.readInt32BE(57)}`)).join(',')
      trace.push(`${performance.now().toFixed(0)} send ${what} v${o.version}`)
      const r = c.send(api, req, o)
      r.then((x: any) => trace.push(`${performance.now().toFixed(0)} ack ${what} ${JSON.stringify(x.responses.map((t: any) => t.partitionResponses.map((q: any) => [q.index, q.errorCode, q.baseOffset])))}`), (e: any) => trace.push(`${performance.now().toFixed(0)} err ${what} ${e.code}`))
      return r
    } } } }, metadata: { value: cluster.metadata }, options: { value: cluster.options }, ports: { value: cluster.ports }, anyConnection: { value: () => cluster.anyConnection() } })
  const producer = new Producer(wrapped, parseProducerOptions({ 'batch.size': 2000, 'linger.ms': 5, 'delivery.timeout.ms': 90000 }))
  const handle = await producer.topic(topic)
  let restarted: Promise<void> | undefined
  const counts = [0, 0]
  for (let part = 0; part < 60; part++) {
    for (let p = 0; p < 2; p++) for (let i = 0; i < 200; i++) { handle.append(p, 1, null, `${part}-${p}-${i}`); counts[p]++ }
    await new Promise((r) => setTimeout(r, 2))
    if (part === 20) { trace.push(`${performance.now().toFixed(0)} kill`); restarted = (async () => { await server.nodes[0]!.kill(); await new Promise((r) => setTimeout(r, 300)); await server.nodes[0]!.start() })() }
    if (part % 20 === 19) await producer.seal()
  }
  await producer.close(); await restarted
  const ends = await server.java.offsets(topic)
  log(run, counts, ends)
  if (ends.some((e, p) => e !== counts[p])) {
    const kill = trace.findIndex((t) => t.includes('kill'))
    log(trace.slice(Math.max(0, kill - 12), kill + 60).join('\n'))
    const f = new Fetcher(cluster, parseFetcherOptions({}))
    for (let p = 0; p < 2; p++) { if (ends[p] === counts[p]) continue
      f.add(topic, p, 0)
      while ((f.position(topic, p) ?? 0) < ends[p]!) { const g = f.next(); if (!g) { await f.available(); continue } if (g.kind === 'data') while (g.reader.nextBatch()) log('log', p, g.reader.baseOffset, 'pid', g.reader.producerId, g.reader.producerEpoch, 'seq', g.reader.baseSequence, 'n', g.reader.recordCount, 'le', g.reader.leaderEpoch) }
    }
    await f.close()
    log(server.nodes[0]!.log().split('\n').filter((l) => l.includes(topic)).join('\n'))
    break
  }
}
await cluster.close(); await server.close()
