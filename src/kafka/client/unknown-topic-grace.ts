/** How long a topic may be unknown before that is believed: one that was made a moment ago reaches all brokers within moments. */
import type { Clock } from '../../base/index.ts'

const GRACE_MS = 2_000

/** To be asked at each answer that a topic is unknown: whether that may still change, counted from the first such answer. */
export function unknownTopicGrace(clock: Clock): () => boolean {
  let endsMs: number | undefined
  return () => {
    const nowMs = clock.monotonic()
    endsMs ??= nowMs + GRACE_MS
    return nowMs < endsMs
  }
}
