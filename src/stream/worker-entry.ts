/** What a worker thread runs: it builds the job's graph and serves its tasks. Started by path; nobody imports it. */
import { SystemClock, SystemRandom, TcpNetwork } from '../base/index.ts'
import { serveTasks } from '../runtime/index.ts'
import { buildOnWorker } from './worker-job.ts'

const ports = { clock: new SystemClock(), random: new SystemRandom(), network: new TcpNetwork() }

/** Standard output of a worker goes through the main thread: what was written must have left before the thread ends. */
async function exit(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => {
      stream.write('', () => resolve())
    })
  }
  process.exit(0)
}

await serveTasks({
  ports,
  build: (data, worker, logger) => buildOnWorker(data, worker, ports, logger),
  exit: () => void exit(),
})
