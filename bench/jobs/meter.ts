/**
 * The measured process's own side: when its first and last record was seen, and at its exit one line on standard output with
 * the clock, its CPU time and its peak memory. The jobs call `seen` for each record, as those measured beside them do; it
 * looks at the clock for one record in 256. Wall time ends when the process exits, right behind the end of the job.
 */
import { readFileSync, writeSync } from 'node:fs'

let calls = 0
let firstMs = 0
let lastMs = 0

/** Call it in the first function of the job, once for each record. */
export function seen(): void {
  if ((calls++ & 255) !== 0) return
  lastMs = performance.now()
  if (firstMs === 0) firstMs = lastMs
}

/** Makes the line come at the exit of the process. For `counted` the job's own count is asked then. */
export function reportAtExit(counted: () => number): void {
  process.on('exit', (code) => {
    const endMs = performance.now()
    if (code !== 0) return
    const { user, system } = process.cpuUsage()
    const line = {
      first_ms: performance.timeOrigin + firstMs,
      wall_s: (endMs - firstMs) / 1_000,
      active_s: (lastMs - firstMs) / 1_000,
      counted: counted(),
      cpu_s: (user + system) / 1e6,
      rss_max_mb: peakMegabytes(),
    }
    writeSync(1, `RESULT ${JSON.stringify(line)}\n`)
  })
}

/** All records for which `seen` was called. */
export function recordsSeen(): number {
  return calls
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
