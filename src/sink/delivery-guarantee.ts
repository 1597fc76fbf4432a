/** What the sink promises, and how it names its transactions: plain strings, with Flink's names. */

/**
 * `NONE`: records are sent; a failure may lose or repeat some. `AT_LEAST_ONCE`: a checkpoint waits until the brokers have
 * acknowledged everything before it. `EXACTLY_ONCE`: records become visible to read_committed readers with the checkpoint.
 */
export type DeliveryGuarantee = 'NONE' | 'AT_LEAST_ONCE' | 'EXACTLY_ONCE'

export const DeliveryGuarantee: { readonly [Name in DeliveryGuarantee]: Name } = Object.freeze({
  NONE: 'NONE',
  AT_LEAST_ONCE: 'AT_LEAST_ONCE',
  EXACTLY_ONCE: 'EXACTLY_ONCE',
})

/** `POOLING` uses few ids again and again; `INCREMENTING` a new one for each checkpoint, as older Flink versions did. */
export type TransactionNamingStrategy = 'POOLING' | 'INCREMENTING'

export const TransactionNamingStrategy: { readonly [Name in TransactionNamingStrategy]: Name } = Object.freeze({
  POOLING: 'POOLING',
  INCREMENTING: 'INCREMENTING',
})
