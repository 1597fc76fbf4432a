/** Metrics of a client by Java's names, each read when somebody looks. Averages and maxima without a value are NaN. */
export type KafkaMetrics = ReadonlyMap<string, () => number>
