/**
 * The durable bytes of the engine, as its first version wrote them, are readable for ever and are still what it writes. A new
 * version gets new files beside these; these never change.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { MillraceError } from '../../base/index.ts'
import { type CheckpointContent, decodeCheckpoint, encodeMetadata } from './checkpoint-metadata.ts'
import { decodeLogEntry, encodeLogEntry, type HistoryState, type LogRecord, sha256 } from './job-log-record.ts'
import { packList, unpackList } from './packed-list.ts'

const golden = (name: string): URL => new URL(`../../../test/golden/runtime/${name}`, import.meta.url)

const SINK = {
  uid: 'out',
  clusterId: 'cluster-1',
  prefix: 'orders',
  naming: 'POOLING',
  parallelism: 2,
  poolBound: 3,
} as const
const COMPLETED = {
  kind: 'completed',
  checkpoint: 42,
  lineage: 'a1b2c3d4e5f60718',
  folder: 'chk-42-7',
  digest: 'f'.repeat(64),
  final: true,
  records: { orders: 1_000, größer: 1 },
  committed: 41,
  fencedBelow: 7,
} as const
const STATE: HistoryState = {
  lineage: { id: 'a1b2c3d4e5f60718', begin: { kind: 'savepoint', id: '9', path: '/savepoints/sp 1' } },
  end: 'stopped',
  attempts: [{ attempt: 7, sinks: [SINK], firstCheckpoint: 40, highestCompleted: 42 }],
  completed: [{ record: COMPLETED, attempt: 7, committed: false }],
  highestCheckpoint: 42,
  fencedBelow: 7,
}

const RECORDS: Readonly<Record<string, LogRecord>> = {
  attempt: {
    kind: 'attempt',
    lineage: { id: 'a1b2c3d4e5f60718', begin: { kind: 'fresh' } },
    sinks: [SINK, { ...SINK, uid: 'late', naming: 'INCREMENTING' }],
    firstCheckpoint: 40,
  },
  completed: COMPLETED,
  committed: { kind: 'committed', checkpoint: 42 },
  void: { kind: 'void', checkpoint: 42 },
  stopped: { kind: 'stopped' },
  cancelled: { kind: 'cancelled' },
  finished: { kind: 'finished' },
  failed: { kind: 'failed', message: 'topic "orders" is gone\nsecond line' },
  base: { kind: 'base', state: STATE },
  'base-after-void': { kind: 'base', state: { ...STATE, completed: [], voided: COMPLETED } },
  'base-with-settled': { kind: 'base', state: { ...STATE, settled: ['chk-40-7', 'chk-41-7'] } },
}

const CONTENT: CheckpointContent = {
  job: 'orders',
  checkpoint: 42,
  attempt: 7,
  lineage: 'a1b2c3d4e5f60718',
  id: '00112233445566778899aabbccddeeff',
  at: 1_700_000_000_000,
  final: false,
  parts: [
    { uid: 'source', role: 'enumerator', subtask: 0, version: 1, bytes: Buffer.from('enumerator state') },
    { uid: 'source', role: 'split', subtask: 0, version: 1, bytes: Buffer.from([0, 1, 2, 255]) },
    { uid: 'source', role: 'split', subtask: 1, version: 1, bytes: Buffer.alloc(0) },
    { uid: 'map', role: 'operator', subtask: 1, version: 3, bytes: Buffer.from('größer') },
    { uid: 'out', role: 'committable', subtask: 1, version: 2, bytes: packList([Buffer.from('a'), Buffer.alloc(0)]) },
  ],
}

/** `MILLRACE_WRITE_GOLDEN=1` writes the files of a new version once. */
function assertGolden(name: string, bytes: Buffer): Buffer {
  if (process.env.MILLRACE_WRITE_GOLDEN === '1') writeFileSync(golden(name), bytes, { flag: 'wx' })
  const stored = readFileSync(golden(name))
  assert.deepEqual(bytes, stored, `what is written is no longer what ${name} holds`)
  return stored
}

for (const [kind, record] of Object.entries(RECORDS)) {
  test(`a ${kind} record of version 1 is readable and is written as ever`, () => {
    const entry = { nonce: '0123456789abcdef0123456789abcdef', attempt: 7, at: 1_700_000_000_000, record }
    const stored = assertGolden(`log-${kind}.v1`, encodeLogEntry(entry))
    assert.deepEqual(decodeLogEntry(9, stored, 'golden'), { number: 9, ...entry })
  })
}

function encodeCheckpoint(content: CheckpointContent): { readonly state: Buffer; readonly metadata: Buffer } {
  const state = Buffer.concat(content.parts.map((part) => part.bytes))
  return { state, metadata: encodeMetadata(content, sha256(state)) }
}

test('a checkpoint of version 1 is readable and is written as ever', () => {
  const encoded = encodeCheckpoint(CONTENT)
  const state = assertGolden('checkpoint-state.v1', encoded.state)
  const metadata = assertGolden('checkpoint-metadata.v1', encoded.metadata)
  assert.deepEqual(decodeCheckpoint({ state, metadata }, 'golden'), CONTENT)
})

test('a checkpoint with lists and keyed state, version 2, is readable and is written as ever', () => {
  const content: CheckpointContent = {
    ...CONTENT,
    parts: [
      ...CONTENT.parts,
      { uid: 'count', role: 'list', subtask: 0, version: 1, bytes: Buffer.from('lists') },
      { uid: 'count', role: 'keyed', subtask: 0, version: 1, bytes: Buffer.from('keyed'), groups: [0, 63] },
    ],
  }
  const encoded = encodeCheckpoint(content)
  const state = assertGolden('checkpoint-state.v2', encoded.state)
  const metadata = assertGolden('checkpoint-metadata.v2', encoded.metadata)
  assert.deepEqual(decodeCheckpoint({ state, metadata }, 'golden'), content)
})

test('every byte of a log record is covered by its checksum', () => {
  const stored = readFileSync(golden('log-committed.v1'))
  for (let at = 0; at < stored.length; at++) {
    const changed = Buffer.from(stored)
    changed[at] = (changed[at] ?? 0) ^ 1
    assert.throws(() => decodeLogEntry(1, changed, 'here'), isLogDamaged, `byte ${at}`)
    assert.throws(() => decodeLogEntry(1, stored.subarray(0, at), 'here'), isLogDamaged, `cut at ${at}`)
  }
})

test('every byte of a checkpoint state is covered by its digest', () => {
  const { state, metadata } = encodeCheckpoint(CONTENT)
  const isDamaged = (error: unknown): boolean => MillraceError.is(error) && error.code === 'CHECKPOINT_DAMAGED'
  for (let at = 0; at < state.length; at++) {
    const changed = Buffer.from(state)
    changed[at] = (changed[at] ?? 0) ^ 1
    assert.throws(() => decodeCheckpoint({ state: changed, metadata }, 'here'), isDamaged, `byte ${at}`)
  }
  assert.throws(() => decodeCheckpoint({ state: state.subarray(1), metadata }, 'here'), isDamaged)
  for (const text of ['', '{', 'null', '[]', '{"v":2}']) {
    assert.throws(() => decodeCheckpoint({ state, metadata: Buffer.from(text) }, 'here'), isDamaged, text)
  }
})

test('a whole record of a newer version is refused as such', () => {
  const line = '{"v":2,"record":{"kind":"unheard of"}}'
  assert.throws(() => decodeLogEntry(1, Buffer.from(`${line}\n${sha256(line)}\n`), 'here'), /version 2 is newer/)
})

test('a packed list gives back its items, and refuses bytes that end too early', () => {
  const items = [Buffer.from('one'), Buffer.alloc(0), Buffer.from([0, 255])]
  const packed = packList(items)
  assert.deepEqual(unpackList(packed), items)
  assert.deepEqual(unpackList(packList([])), [])
  for (let end = 0; end < packed.length; end++) assert.throws(() => unpackList(packed.subarray(0, end)), RangeError)
})

function isLogDamaged(error: unknown): boolean {
  return MillraceError.is(error) && error.code === 'LOG_DAMAGED'
}
