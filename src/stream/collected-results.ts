/**
 * The iterator of executeAndCollect: its first `next` starts the job, its end is the job's end, and leaving it early cancels
 * the job and waits until it is gone. A job that fails makes the loop throw, after the elements that came before.
 */
import { CollectBuffer } from './collect-buffer.ts'
import type { JobClient } from './job-client.ts'

export type StartCollecting = (jobName: string | undefined) => Promise<JobClient>

export class CollectedResults<T> implements AsyncIterableIterator<T> {
  readonly buffer: CollectBuffer<T> = new CollectBuffer<T>()
  readonly #start: StartCollecting
  readonly #jobName: string | undefined
  #client: Promise<JobClient> | undefined
  #left = false

  constructor(start: StartCollecting, jobName: string | undefined) {
    this.#start = start
    this.#jobName = jobName
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    if (this.#left) return { done: true, value: undefined }
    this.#client ??= this.#run()
    await this.#client
    const taken = await this.buffer.take()
    return taken === undefined ? { done: true, value: undefined } : { done: false, value: taken.element }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#left = true
    this.buffer.end()
    const client = await this.#client?.catch(() => undefined)
    await client?.cancel()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #run(): Promise<JobClient> {
    const client = await this.#start(this.#jobName)
    client.result().then(
      () => this.buffer.end(),
      (failure) => this.buffer.end(failure),
    )
    return client
  }
}
