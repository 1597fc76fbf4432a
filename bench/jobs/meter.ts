/**
 * The measured process's own side: when its first and last record was seen, and at its exit one line on standard output with
 * the clock, its CPU time and its peak memory. The jobs call `seen` for each record, as those measured beside them do; it
 * looks at the clock for one record in 256. Wall time ends when the process exits, right behind the end of the job. The threads of
 * a job share one memory for it, a row each.
 */
import { readFileSync, writeSync } from 'node:fs'
import { isMainThread, threadId } from 'node:worker_threads'
import type { StreamExecutionEnvironment } from 'millrace'

const THREADS_MAX = 64
const ROW = 3

/** A row a thread: records seen, and when the first and the last one looked at was, in milliseconds since 1970. */
let rows: Float64Array = new Float64Array(ROW * THREADS_MAX)
const own: number = ROW * (threadId % THREADS_MAX)
let calls = 0

/** Call it in the first function of the job, once for each record. */
export function seen(): void {
  if ((calls++ & 255) === 0) {
    const nowMs = performance.timeOrigin + performance.now()
    if (rows[own + 1] === 0) rows[own + 1] = nowMs
    rows[own + 2] = nowMs
  }
  rows[own] = calls
}

/** Makes the line come at the exit of the process. Call it when the job is built. */
export async function reportAtExit(env: StreamExecutionEnvironment): Promise<void> {
  rows = new Float64Array(await env.once('meter', () => new SharedArrayBuffer(8 * ROW * THREADS_MAX)))
  if (!isMainThread) return
  process.on('exit', (code) => {
    const endMs = performance.timeOrigin + performance.now()
    if (code !== 0) return
    const { user, system } = process.cpuUsage()
    const firstMs = Math.min(...column(1).filter((ms) => ms > 0))
    const line = {
      first_ms: firstMs,
      wall_s: (endMs - firstMs) / 1_000,
      active_s: (Math.max(...column(2)) - firstMs) / 1_000,
      counted: column(0).reduce((sum, count) => sum + count, 0),
      cpu_s: (user + system) / 1e6,
      rss_max_mb: peakMegabytes(),
    }
    writeSync(1, `RESULT ${JSON.stringify(line)}\n`)
  })
}

function column(index: number): number[] {
  return Array.from({ length: THREADS_MAX }, (_, row) => rows[ROW * row + index] ?? 0)
}

function peakMegabytes(): number {
  try {
    const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    if (kilobytes !== undefined) return Math.round(Number(kilobytes) / 1024)
  } catch {
    // Not Linux: what the operating system tells of the process will do.
  }
  return Math.round(process.resourceUsage().maxRSS / 1024)
}
