/**
 * Metrics under Flink's names. A counter is a plain field that the record path increments; gauges are read when somebody
 * looks. Groups nest as in Flink's scopes, e.g. `KafkaSourceReader.topic.<t>.partition.<p>.currentOffset`.
 */
export class Counter {
  value = 0

  add(count: number): void {
    this.value += count
  }
}

export type Gauge = () => number

export interface MetricGroup {
  counter(name: string): Counter
  gauge(name: string, read: Gauge): void
  group(name: string): MetricGroup
}

/** Keeps the metrics of one operator subtask and reads them all at once. */
export class MetricRegistry implements MetricGroup {
  readonly #metrics: Map<string, Counter | Gauge>
  readonly #scope: string

  constructor(scope = '', metrics: Map<string, Counter | Gauge> = new Map()) {
    this.#scope = scope
    this.#metrics = metrics
  }

  counter(name: string): Counter {
    const counter = new Counter()
    this.#metrics.set(this.#scope + name, counter)
    return counter
  }

  gauge(name: string, read: Gauge): void {
    this.#metrics.set(this.#scope + name, read)
  }

  group(name: string): MetricGroup {
    return new MetricRegistry(`${this.#scope}${name}.`, this.#metrics)
  }

  /** Every metric's value now, by its full name. */
  read(): Map<string, number> {
    const values = new Map<string, number>()
    for (const [name, metric] of this.#metrics) values.set(name, metric instanceof Counter ? metric.value : metric())
    return values
  }
}
