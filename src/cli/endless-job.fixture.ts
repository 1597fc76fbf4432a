/** A job that never ends by itself and busies the processor in a function with a name, for tests of the command. */
import { defineJob, type JobDefinition } from '../stream/index.ts'

function spinSomewhat(index: number): string {
  let text = `order ${index}`
  for (let turn = 0; turn < 40; turn++) text = `${text.slice(1)}${turn % 10}`
  return text
}

const endless: JobDefinition = defineJob('endless', (env) => {
  env
    .fromGenerator(spinSomewhat)
    .filter((text) => text === 'never')
    .print()
})

export default endless
