/**
 * A job that never ends by itself and busies the processor in a function with a name, for tests of the command. It prints one
 * line of many thousands, which tells how much it has done.
 */
import { defineJob, type JobDefinition } from '../stream/index.ts'

const ONE_OF = 20_000

/** By itself so often that V8 cannot build all of it into its caller: what is built in has no name in a heap profile. */
function spinSomewhat(index: number, turns = 40): string {
  if (turns === 0) return `order ${index}`
  return `${spinSomewhat(index, turns - 1).slice(1)}${turns % 10}`
}

const endless: JobDefinition = defineJob('endless', (env) => {
  let done = 0
  env
    .fromGenerator((index) => spinSomewhat(index))
    .filter(() => ++done % ONE_OF === 0)
    .print()
})

export default endless
