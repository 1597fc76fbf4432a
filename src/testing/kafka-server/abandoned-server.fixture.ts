// A test process that starts a server, pauses its node, tells the process ids, and then waits to be killed.
// It exists for the test that nothing is left behind by such an end.

import { setTimeout as sleep } from 'node:timers/promises'
import { KafkaServer } from './kafka-server.ts'

const server = await KafkaServer.start()
await server.createTopic('in')
server.nodes[0]?.pause()
process.stdout.write(
  `${JSON.stringify({ pids: [server.nodes[0]?.pid, server.java.pid], directory: server.directory })}\n`,
)
await sleep(600_000)
await server.close()
