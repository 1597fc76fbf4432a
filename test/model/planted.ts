/**
 * The mistakes that the model can be made to make, by the rule of the exactly-once protocol that each breaks. The model that
 * does not find one of them would not find it in the rules either. Rules 15 (time) and 17 (prefixes) speak of what the model
 * leaves out.
 */
export const PLANTED = {
  'a barrier passes before the flush': 1,
  'a snapshot lists only what its own barrier flushed': 2,
  'a failed checkpoint aborts what it flushed': 2,
  'a slot is free as soon as its transaction ended': 3,
  'a pool has a slot for each checkpoint under way, each failure, and two': 3,
  'version 1 begins a transaction without InitProducerId': 4,
  'transactions are ended before `completed` is in the log': 5,
  '`completed` is written before the folder': 5,
  'an older checkpoint completes after a younger one': 5,
  'the predecessor is removed before the commit': 5,
  'two attempts share a folder': 5,
  '`committed` is written before the transactions are ended': 6,
  'recovery ends what an older commit covers': 6,
  'a restart goes on in its old attempt': 7,
  'the restore point is not chosen again': 7,
  'recovery fences before it ends': 8,
  'recovery fences nothing': 8,
  'a checkpoint is void although some of it was seen': 8,
  'what is gone is left out of a recovered checkpoint': 8,
  'a commit after the takeover': 9,
  'a pruned slot is taken again': 9,
  'the fence takes every attempt': 9,
  'an older checkpoint stands in for one that cannot be read': 10,
  'a folder without a record is restored': 10,
  'a refused commit is taken for done': 11,
  'the result is given before it is visible': 12,
  'the end of input is no checkpoint': 13,
  'a savepoint is settled before its transactions ended': 14,
  'group offsets go with the barrier': 16,
} as const

export type Planted = keyof typeof PLANTED
