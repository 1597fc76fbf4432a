/** What a job's file must not do: run the job, wherever it is imported. */
import { defineJob, runJob } from 'millrace'

const job = defineJob('runs-itself', (env) => {
  env.fromData([1, 2, 3]).print()
})

await runJob(job, { parallelism: 2, threads: 2, module: import.meta.url, storage: 'memory' })
