/**
 * Which subtask reads a split. At a fresh start it is Flink's formula, so that a job moved from Flink keeps its layout: the
 * partitions of a topic go round the subtasks, from a start that the topic's name decides. After a restore every split goes to
 * the subtask with the fewest, so that no skew outlives a rescaling.
 */
import { type SubtaskIndex, subtaskIndex } from '../../core/index.ts'
import type { TopicPartition } from '../topic-partition.ts'

export type SplitOwner = (partition: TopicPartition) => SubtaskIndex

/** Flink: KafkaSourceEnumerator.getSplitOwner. */
export function ownerByTopic(parallelism: number): SplitOwner {
  return ({ topic, partition }) => {
    const start = (Math.imul(javaHash(topic), 31) & 0x7fffffff) % parallelism
    return subtaskIndex((start + partition) % parallelism)
  }
}

/** The subtask that was given the fewest so far, the first of them if there are several. */
export function ownerByLoad(parallelism: number): SplitOwner {
  const loads = new Array<number>(parallelism).fill(0)
  return () => {
    let owner = 0
    for (let index = 1; index < parallelism; index++) {
      if ((loads[index] ?? 0) < (loads[owner] ?? 0)) owner = index
    }
    loads[owner] = (loads[owner] ?? 0) + 1
    return subtaskIndex(owner)
  }
}

/** String.hashCode of Java: over UTF-16 units, in 32 bits. */
export function javaHash(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index++) hash = (Math.imul(31, hash) + text.charCodeAt(index)) | 0
  return hash
}
