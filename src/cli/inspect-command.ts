/**
 * `millrace inspect PATH`: what a checkpoint's folder holds, by operator. Kafka's own parts are told in words; what an operator
 * stored is its own affair, and only its size is told.
 */
import { resolve } from 'node:path'
import { DirectoryStorage, SystemClock } from '../base/index.ts'
import { deserializeVersioned, type VersionedBytes, type VersionedSerializer } from '../core/index.ts'
import { type ContentView, type PartView, viewCheckpoint } from '../runtime/index.ts'
import { KafkaCommittableSerializer } from '../sink/index.ts'
import { kafkaPartitionSplitSerializer, kafkaSourceEnumeratorStateSerializer } from '../source/index.ts'
import { countText, recordsText, sizeText, tableText, timeText } from './table.ts'

const committables = new KafkaCommittableSerializer()

export async function inspectCommand(path: string): Promise<number> {
  const content = await viewCheckpoint(new DirectoryStorage(resolve(path)), new SystemClock())
  process.stdout.write(inspectText(content))
  return 0
}

export function inspectText(content: ContentView): string {
  const { job, checkpoint, attempt, at, lineage, id, parts, final, settled } = content
  const bytes = parts.reduce((sum, part) => sum + part.bytes.byteLength, 0)
  const texts = [
    `checkpoint ${checkpoint} of job ${job}, attempt ${attempt}, taken ${timeText(at)} UTC\n` +
      `${final ? 'at the end of input, ' : ''}${settled ? 'settled, ' : ''}${sizeText(bytes)} of state, lineage ${lineage}, id ${id}\n`,
  ]
  const uids = new Map<string, PartView[]>()
  for (const part of parts) {
    const own = uids.get(part.uid) ?? []
    uids.set(part.uid, own)
    own.push(part)
  }
  for (const [uid, own] of uids) {
    const size = own.reduce((sum, part) => sum + part.bytes.byteLength, 0)
    texts.push(`\n${uid}: ${sizeText(size)}\n`, tableText(own.flatMap(rowsOf).map((row) => [' ', ...row])))
  }
  return texts.join('')
}

function rowsOf(part: PartView): string[][] {
  const where = `subtask ${part.subtask}`
  return part.items.map((item) => {
    const size = sizeText(item.bytes.byteLength)
    switch (part.role) {
      case 'split':
        return ['split', where, size, splitText(item)]
      case 'enumerator':
        return ['enumerator', '', size, enumeratorText(item)]
      case 'committable':
        return ['transaction', where, size, transactionText(item)]
      default:
        return [part.role, where, size, `version ${part.version}`]
    }
  })
}

function splitText(item: VersionedBytes): string {
  const split = decode(kafkaPartitionSplitSerializer, item)
  if (split === undefined) return `version ${item.version}`
  const { topic, partition, startingOffset, stoppingOffset } = split
  const next =
    startingOffset.kind === 'at' ? `next offset ${countText(startingOffset.offset)}` : 'from its earliest offset'
  const end = stoppingOffset === undefined ? '' : `, ends at ${countText(stoppingOffset)}`
  return `${topic}-${partition}: ${next}${end}`
}

function enumeratorText(item: VersionedBytes): string {
  const state = decode(kafkaSourceEnumeratorStateSerializer, item)
  if (state === undefined) return `version ${item.version}`
  return `${countText(state.splits.length)} partitions known${state.initialDiscoveryFinished ? '' : ', first discovery not done'}`
}

function transactionText(item: VersionedBytes): string {
  const committable = decode(committables, item)
  if (committable === undefined) return `version ${item.version}`
  const { transactionalId, producerId, epoch, version, barrier, records, beganAtMs } = committable
  return (
    `${transactionalId}: producer ${producerId}, epoch ${epoch}, version ${version}, flushed by barrier ${barrier}, ` +
    `begun ${timeText(beganAtMs)}, ${recordsText(records)}`
  )
}

/** Undefined when the bytes are of another connector: a checkpoint does not say whose they are, and Kafka's are checked to their end. */
function decode<T>(serializer: VersionedSerializer<T>, item: VersionedBytes): T | undefined {
  try {
    return deserializeVersioned(serializer, item)
  } catch {
    return undefined
  }
}
