/**
 * The name of one flushed transaction, and what a message about it needs: enough for another process, later, to end exactly
 * this transaction and no other, and to tell a person what is lost if it cannot. It is stored in checkpoints.
 */
import { assert, MillraceError } from '../../base/index.ts'
import type { CommittableDescription, VersionedSerializer } from '../../core/index.ts'
import type { TransactionHandle, TransactionVersion } from '../transaction/transaction-gateway.ts'

export interface KafkaCommittable extends TransactionHandle {
  readonly sinkUid: string
  /** Empty when the cluster has no id. */
  readonly clusterId: string
  /** The checkpoint whose barrier flushed it. */
  readonly barrier: number
  readonly records: Readonly<Record<string, number>>
  readonly beganAtMs: number
}

export function describeCommittable(committable: KafkaCommittable): CommittableDescription {
  return {
    transactionalId: committable.transactionalId,
    producer: `${committable.producerId}/${committable.epoch}`,
    barrier: committable.barrier,
    beganAtMs: committable.beganAtMs,
    records: committable.records,
  }
}

/** `orders: 12 records, totals: 1 record`. */
export function describeRecords(records: Readonly<Record<string, number>>): string {
  const parts = Object.entries(records).map(([topic, count]) => `${topic}: ${count} record${count === 1 ? '' : 's'}`)
  return parts.length === 0 ? 'no records' : parts.join(', ')
}

/** UTF-8 JSON, an object of the fields of KafkaCommittable in the order written here, so that a person can read it too. */
const VERSION_1 = 1

export class KafkaCommittableSerializer implements VersionedSerializer<KafkaCommittable> {
  readonly version: number = VERSION_1

  serialize(value: KafkaCommittable): Uint8Array {
    assert(Number.isSafeInteger(value.producerId) && value.producerId >= 0, `producer id ${value.producerId}`)
    return Buffer.from(
      JSON.stringify({
        sinkUid: value.sinkUid,
        clusterId: value.clusterId,
        transactionalId: value.transactionalId,
        producerId: value.producerId,
        epoch: value.epoch,
        version: value.version,
        barrier: value.barrier,
        records: value.records,
        beganAtMs: value.beganAtMs,
      }),
      'utf8',
    )
  }

  deserialize(version: number, bytes: Uint8Array): KafkaCommittable {
    if (version !== VERSION_1) {
      throw new MillraceError(
        'STATE_INCOMPATIBLE',
        `a Kafka committable of version ${version} was written by a newer release; this one reads up to ${VERSION_1}`,
        {
          next: 'Nothing was ended or aborted. Start the job with the release that wrote the checkpoint, or a newer one.',
        },
      )
    }
    const fields = parseObject(bytes)
    const text = (name: string): string => field(fields, name, (value) => typeof value === 'string') as string
    const count = (name: string): number => field(fields, name, isCount) as number
    return {
      sinkUid: text('sinkUid'),
      clusterId: text('clusterId'),
      transactionalId: text('transactionalId'),
      producerId: count('producerId'),
      epoch: count('epoch'),
      version: field(fields, 'version', (value) => value === 1 || value === 2) as TransactionVersion,
      barrier: count('barrier'),
      records: field(fields, 'records', isRecordCounts) as Record<string, number>,
      beganAtMs: count('beganAtMs'),
    }
  }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
    if (isObject(value)) return value
  } catch {
    // Reported below, with everything else that is not a committable.
  }
  throw damaged('it is not a JSON object')
}

function field(fields: Record<string, unknown>, name: string, good: (value: unknown) => boolean): unknown {
  const value = fields[name]
  if (!good(value)) throw damaged(`its field "${name}" is missing or malformed`)
  return value
}

function damaged(what: string): MillraceError {
  return new MillraceError('STATE_INCOMPATIBLE', `a stored Kafka committable cannot be read: ${what}`)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isRecordCounts(value: unknown): boolean {
  return isObject(value) && Object.values(value).every(isCount)
}
