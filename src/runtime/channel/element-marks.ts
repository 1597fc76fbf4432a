/** What stands between elements in a block of a channel, as marks of the block; `element` has none, and a number: its timestamp. */

/** With its time as a number. */
export const WATERMARK_MARK = 0
export const IDLE_MARK = 1
export const ACTIVE_MARK = 2
/** With the checkpoint as a number. */
export const BARRIER_MARK = 3
export const FINAL_BARRIER_MARK = 4
export const END_MARK = 5
