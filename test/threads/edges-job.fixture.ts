/** Every way between subtasks in one job without keys: union, rebalance, rescale, shuffle, broadcast, custom, a side output. */
import { threadId } from 'node:worker_threads'
import { defineJob, IntCounter, type JobDefinition, OutputTag } from 'millrace'
import { fileSink } from './file-sink.ts'

export const EACH = 3_000

const odd = new OutputTag<number>('odd')

const job: JobDefinition = defineJob('edges', (env, params) => {
  const directory = params.required('directory')
  const numbers = (from: number) =>
    env.fromGenerator((index) => from + index, { count: EACH, elementsPerSecond: EACH * 4, name: `from ${from}` })
  const line = (what: string) => (value: number) => `${what} ${value} ${threadId}`

  const all = numbers(0).union(numbers(EACH).setParallelism(1).rebalance())
  const spread = all.rebalance().map((value) => value)
  spread
    .rescale()
    .map(line('rescaled'))
    .setParallelism(2)
    .sinkTo(fileSink(`${directory}/rescaled`, 'rescaled'))
  spread
    .shuffle()
    .map(line('shuffled'))
    .sinkTo(fileSink(`${directory}/shuffled`, 'shuffled'))
  spread
    .broadcast()
    .map(line('broadcast'))
    .setParallelism(3)
    .sinkTo(fileSink(`${directory}/broadcast`, 'broadcast'))
  const custom = spread.partitionCustom(
    (key: number, partitions) => key % partitions,
    (value) => value,
  )
  let elements = new IntCounter()
  const even = custom.process<number>({
    open(context) {
      elements = new IntCounter()
      context.addAccumulator('elements', elements)
    },
    processElement(value, context, out) {
      elements.add(1)
      if (value % 2 === 0) out.collect(value)
      else context.output(odd, value)
    },
  })
  even
    .disableChaining()
    .map(line('even'))
    .sinkTo(fileSink(`${directory}/even`, 'even'))
  even
    .getSideOutput(odd)
    .rebalance()
    .map(line('odd'))
    .sinkTo(fileSink(`${directory}/odd`, 'odd'))
})

export default job
