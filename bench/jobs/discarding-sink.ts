/** A sink that takes everything and keeps nothing, for the workload that only reads. */
import type { Sink, SinkWriter } from 'millrace'

export class DiscardingSink<T> implements Sink<T> {
  createWriter(): SinkWriter<T, never> {
    return {
      blocked: false,
      write: () => undefined,
      writable: async () => undefined,
      prepareCommit: async () => [],
      close: async () => undefined,
    }
  }

  describe(): Readonly<Record<string, unknown>> {
    return { kind: 'discarding' }
  }
}
