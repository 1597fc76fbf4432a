/** A worker thread that has subtask 1 of an edge: reads it to its end and says what came; or never reads. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { SeededRandom } from '../../base/index.ts'
import { ElementTime } from '../../core/index.ts'
import type { PlannedEdge } from '../plan/physical-plan.ts'
import { EdgeEnds } from './edge-ends.ts'

const { port, reads } = workerData as { readonly port: MessagePort; readonly reads: boolean }
const ends = new EdgeEnds({ thread: 1, threads: 2, peers: { 0: port }, random: new SeededRandom(1) })
const edge = { index: 0, edge: { from: 0, partitioning: 'custom' } } as PlannedEdge
const input = ends.endsOf(1, 1).createInput(edge, 0, new ElementTime())
let [elements, ordered] = [0, true]

/** Until there is nothing more, or the end. */
function read(): void {
  for (;;) {
    const item = input.next()
    if (item === 'empty') return
    if (item === 'element') {
      const { n } = input.value as { readonly n: number }
      ordered &&= n === elements && input.time.timestamp === n
      elements++
    }
    if (item === 'end') {
      parentPort?.postMessage({ elements, ordered })
      ends.close()
      return
    }
  }
}

if (reads) {
  input.onArrival(() => setImmediate(read))
  read()
}
parentPort?.postMessage('here')
