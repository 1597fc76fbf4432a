/**
 * What keyed state costs: an element that reads and updates its key's value; how long a checkpoint of 100 MB keeps elements
 * waiting at most, while they go on changing state; and reading the same from disk until all keys are there again. Beside the time
 * that passed stands what the thread used of it, which says more where others use the machine too.
 * Run: node --conditions=millrace-source --max-old-space-size=4000 src/runtime/state/keyed-state.bench.ts [KEYS]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectoryStorage, SystemClock } from '../../base/index.ts'
import { checkpointId, type ValueState } from '../../core/index.ts'
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts'
import type { KeyedPart } from './hosted-state.ts'
import { KeyedStateBackend } from './keyed-state-backend.ts'

interface Account {
  readonly count: number
  readonly total: number
  readonly last: string
}

const KEYS = Number(process.argv[2] ?? 1_000_000)
const ELEMENTS = 2_000_000
/** What the task gives to a capture between elements. */
const BUDGET_MS = 2
const ELEMENTS_BETWEEN = 512
const clock = new SystemClock()

function open(restored: readonly KeyedPart[]): { backend: KeyedStateBackend; accounts: ValueState<Account> } {
  const backend = new KeyedStateBackend({
    operatorName: 'bench',
    uid: 'bench',
    maxParallelism: 128,
    groups: [0, 127],
    clock,
    restored,
    allowNonRestoredState: false,
  })
  const accounts = backend.value<Account>({ kind: 'value', name: 'account' })
  backend.opened()
  return { backend, accounts }
}

const keys = Array.from({ length: KEYS }, (_, i) => `customer-${String(i).padStart(9, '0')}`)
const { backend, accounts } = open([])

function element(i: number): void {
  const key = keys[(Math.imul(i, 0x9e3779b1) >>> 0) % KEYS] ?? ''
  backend.setCurrentKey(key)
  const before = accounts.value()
  accounts.update({
    count: (before?.count ?? 0) + 1,
    total: (before?.total ?? 0) + i / 8,
    last: before?.last ?? `the last order of ${key} was number ${i} and it was shipped`,
  })
}

/** Time that the thread was at work, in ms. */
function usedMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

function report(what: string, figure: number, unit: string, used?: number): void {
  const digits = unit === 'ns' ? 0 : 1
  const also = used === undefined ? '' : ` (used ${used.toFixed(digits)})`
  process.stdout.write(`${what.padEnd(48)} ${figure.toFixed(digits)} ${unit}${also}\n`)
}

for (let i = 0; i < KEYS * 3; i++) element(i)
let began = clock.monotonic()
let used = usedMs()
for (let i = 0; i < ELEMENTS; i++) element(i)
report(
  'read and update of a key, an element',
  ((clock.monotonic() - began) * 1e6) / ELEMENTS,
  'ns',
  ((usedMs() - used) * 1e6) / ELEMENTS,
)

/** Elements and slices in turn, as a task does. Answers the longest stop that the capture made. */
async function capture(checkpoint: number): Promise<readonly KeyedPart[]> {
  began = clock.monotonic()
  let at = began
  let longest = 0
  let longestUsed = 0
  let elements = 0
  let elementsUsed = 0
  used = usedMs()
  const begunUsed = used
  const stop = (): void => {
    longest = Math.max(longest, clock.monotonic() - at)
    longestUsed = Math.max(longestUsed, usedMs() - used)
  }
  const parts = backend.snapshot(checkpointId(checkpoint))
  stop()
  report(`checkpoint ${checkpoint}: the barrier itself`, longest, 'ms', longestUsed)
  for (;;) {
    const before = usedMs()
    for (let i = 0; i < ELEMENTS_BETWEEN; i++) element(elements++)
    at = clock.monotonic()
    used = usedMs()
    elementsUsed += used - before
    const more = backend.step(BUDGET_MS)
    stop()
    if (!more) break
  }
  const taken = await parts
  const bytes = taken.reduce((sum, part) => sum + part.bytes.byteLength, 0)
  report(`checkpoint ${checkpoint}: longest stop`, longest, 'ms', longestUsed)
  report(
    `checkpoint ${checkpoint}: capturing altogether`,
    clock.monotonic() - began,
    'ms',
    usedMs() - begunUsed - elementsUsed,
  )
  report(`checkpoint ${checkpoint}: an element meanwhile`, (elementsUsed * 1e6) / elements, 'ns')
  report(`checkpoint ${checkpoint}: size`, bytes / 1e6, 'MB')
  return taken
}

await capture(1)
const parts = await capture(2)

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
try {
  const store = new CheckpointStore(new DirectoryStorage(folder), clock)
  const about = { job: 'bench', checkpoint: 1, attempt: 1, lineage: 'l', id: 'i', at: 0, final: false }
  const stored = await store.write({
    ...about,
    parts: parts.map((part) => ({ ...part, uid: 'bench', role: 'keyed', subtask: 0 })),
  })
  began = clock.monotonic()
  const usedBegan = usedMs()
  const content = await store.read(stored.folder, stored.digest)
  report('read from disk, checksum included', clock.monotonic() - began, 'ms', usedMs() - usedBegan)
  const restoring = clock.monotonic()
  const usedRestoring = usedMs()
  open(content.parts.map((part) => ({ ...part, groups: [0, 127] as const })))
  report('restored from there', clock.monotonic() - restoring, 'ms', usedMs() - usedRestoring)
  report('both', clock.monotonic() - began, 'ms', usedMs() - usedBegan)
} finally {
  rmSync(folder, { recursive: true })
}
