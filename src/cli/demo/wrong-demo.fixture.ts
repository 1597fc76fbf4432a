/** `millrace demo` with a job that doubles an order. */
import { fileURLToPath } from 'node:url'
import { demoCommand } from './demo-command.ts'

const job = fileURLToPath(new URL('./doubling-job.fixture.ts', import.meta.url))
process.exit(await demoCommand({ kind: 'demo', seconds: 3 }, job))
