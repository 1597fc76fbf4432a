/**
 * The error of a transaction that cannot be committed any more (exactly-once, rule 11): it says "lost" or "cannot tell", and
 * everything a person needs to find the records again. Nobody goes on silently.
 */
import { MillraceError } from '../../base/index.ts'
import { nameOf } from '../transaction/transaction-verdict.ts'
import { describeRecords, type KafkaCommittable } from './kafka-committable.ts'

export function lostTransaction(
  fate: 'gone' | 'unknown',
  committable: KafkaCommittable,
  checkpoint: number,
  answer: string,
): MillraceError {
  const transaction = `transaction ${nameOf(committable)} of checkpoint ${checkpoint} (flushed at barrier ${committable.barrier}, begun ${new Date(committable.beganAtMs).toISOString()})`
  const records = describeRecords(committable.records)
  if (fate === 'gone') {
    return new MillraceError(
      'TRANSACTIONS_LOST',
      `lost: ${transaction} was aborted before it could be committed (the broker answers ${answer}); read_committed readers will never see ${records}`,
      {
        next: 'The job stops committing. A restart goes back one checkpoint and writes these records again if no other transaction of this checkpoint was committed. The usual cause is transaction.timeout.ms shorter than the time from the first record to the commit, restarts included.',
      },
    )
  }
  return new MillraceError(
    'TRANSACTIONS_UNDECIDED',
    `cannot tell whether ${transaction} was committed: the broker answers ${answer} and remembers nothing more; it held ${records}`,
    {
      next: 'The job stops committing. Look in the topics for these records with isolation.level=read_committed; then decide with millrace.recovery.on-lost-transactions whether the job goes on.',
    },
  )
}
