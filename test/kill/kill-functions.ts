/** The functions of the jobs that are killed: one that makes them last, and one that shows what is lost or repeated. */
import { workerData } from 'node:worker_threads'
import {
  type Collector,
  type KeyedProcessFunction,
  type KeyedProcessFunctionContext,
  type ValueState,
  ValueStateDescriptor,
} from 'millrace'
import { KILLER_WORD, type KillerWord } from './killer-plan.ts'

export interface Copied {
  readonly key: Buffer | null
  readonly value: Buffer | null
}

const TURN_MS_MAX = 50

/** Where no killer was loaded. */
const NOBODY: KillerWord = { throwNext: false, completedCheckpoints: 0, over: false, onRecord: () => undefined }

/** How many records of the key there were, this one included. */
export class RunningCount implements KeyedProcessFunction<string, Copied, Copied> {
  #count: ValueState<number> | undefined

  open(context: KeyedProcessFunctionContext): void {
    this.#count = context.getState(new ValueStateDescriptor<number>('count'))
  }

  processElement({ key, value }: Copied, _context: unknown, out: Collector<Copied>): void {
    const count = (this.#count?.value() ?? 0) + 1
    this.#count?.update(count)
    const { id } = JSON.parse(String(value))
    out.collect({ key, value: Buffer.from(JSON.stringify({ id, count, worker: workerData?.index ?? -1 })) })
  }
}

/**
 * Fast up to so many records for each completed checkpoint, then slower and slower, as a function that blocks its thread: so
 * about as many checkpoints complete however fast or busy the machine is, and however long the brokers are away. A test gives so
 * few records and so large an input that the job is still at work when each checkpoint takes several seconds.
 */
export function slowly(recordsPerCheckpoint: number, slowestMs: number): (copied: Copied) => Copied {
  const wait = waitsOfATurn()
  const { [KILLER_WORD]: word = NOBODY } = globalThis as { [KILLER_WORD]?: KillerWord }
  let count = 0
  let completed = 0
  return (copied) => {
    word.onRecord()
    if (word.throwNext) {
      word.throwNext = false
      throw new Error('the function throws, as planned')
    }
    if (completed !== word.completedCheckpoints) {
      completed = word.completedCheckpoints
      count = 0
    }
    if (word.over) return copied
    count++
    if (count > 6 * recordsPerCheckpoint) wait(slowestMs)
    else if (count > recordsPerCheckpoint && count % 2 === 0) wait(1)
    return copied
  }
}

/** Blocks the thread, but not for long within one turn of its event loop: a task's first slices are of many records. */
function waitsOfATurn(): (ms: number) => void {
  const never = new Int32Array(new SharedArrayBuffer(4))
  let waitedMs = 0
  const turned = (): void => {
    waitedMs = 0
  }
  return (ms) => {
    if (waitedMs >= TURN_MS_MAX) return
    if (waitedMs === 0) setImmediate(turned)
    waitedMs += ms
    Atomics.wait(never, 0, 0, ms)
  }
}
