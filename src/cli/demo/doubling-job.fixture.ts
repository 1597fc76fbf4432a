/** The demo's job with a fault: one order comes out twice. */
import type { JobDefinition } from '../../stream/index.ts'
import { demoJob, parsed } from './demo-job.ts'

const DOUBLED = '{"id":1234,'

const job: JobDefinition = demoJob((text, out) => {
  parsed(text, out)
  if (text.startsWith(DOUBLED)) parsed(text, out)
})
export default job
