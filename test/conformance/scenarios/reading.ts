/** Where a reader stands and what it is given: empty partitions, starts in the middle, small fetches, seeks, gaps, clocks. */
import type { Scenario } from '../scenario.ts'
import {
  createTopic,
  deleteRecords,
  offsets,
  pause,
  produce,
  read,
  record,
  resume,
  scenario,
  seek,
  series,
  T0,
} from './steps.ts'

const SMALL = { 'max.partition.fetch.bytes': 200, 'fetch.max.bytes': 400 }

export const reading: readonly Scenario[] = [
  scenario(
    'an empty topic is read to its end at once',
    [],
    [
      createTopic('t', { partitions: 3 }),
      read('t', 'read_committed'),
      read('t', 'read_uncommitted'),
      offsets('t', 'earliest', 3),
      offsets('t', 'latest', 3),
    ],
  ),
  scenario(
    'some partitions are empty, some are not',
    [],
    [
      createTopic('t', { partitions: 6 }),
      produce('p', 't', [...series('a', 4, { partition: 1 }), ...series('b', 7, { partition: 4 })]),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'a start within a batch leaves out what is before it',
    [],
    [createTopic('t'), produce('p', 't', series('v', 40)), read('t', 'read_committed', { from: 23 })],
  ),
  scenario(
    'a start within a compressed batch leaves out what is before it',
    ['compression'],
    [
      createTopic('t'),
      produce('p', 't', series('v', 40), { 'compression.type': 'lz4' }),
      read('t', 'read_committed', { from: 23 }),
    ],
  ),
  scenario(
    'a start at the end gives what comes later',
    [],
    [
      createTopic('t'),
      produce('p', 't', series('v', 5)),
      read('t', 'read_committed', { reader: 'r', from: 5 }),
      produce('p', 't', series('w', 3)),
      read('t', 'read_committed', { reader: 'r' }),
    ],
  ),
  scenario(
    'many partitions are read in one go, each in its order',
    [],
    [
      createTopic('t', { partitions: 20 }),
      produce('p', 't', series('v', 400, { over: 20 })),
      read('t', 'read_committed'),
      read('t', 'read_uncommitted', { settings: SMALL }),
    ],
  ),
  scenario(
    'batches beyond the fetch size come through',
    [],
    [
      createTopic('t'),
      produce('p', 't', series('a value of some length, so that batches get large ', 1_000), { 'batch.size': 20_000 }),
      read('t', 'read_committed', { settings: SMALL }),
      read('t', 'read_uncommitted', { from: 501, settings: SMALL }),
    ],
  ),
  scenario(
    'compressed batches beyond the fetch size come through',
    ['compression'],
    [
      createTopic('t'),
      produce('p', 't', series('a value of some length, so that batches get large ', 1_000), {
        'batch.size': 20_000,
        'compression.type': 'snappy',
      }),
      read('t', 'read_committed', { settings: SMALL }),
    ],
  ),
  scenario(
    'a reader that is sought back reads again, forth leaves out',
    [],
    [
      createTopic('t', { partitions: 2 }),
      produce('p', 't', series('v', 20, { over: 2 })),
      read('t', 'read_committed', { reader: 'r' }),
      seek('r', 0, 4),
      read('t', 'read_committed', { reader: 'r' }),
      produce('p', 't', series('w', 20, { over: 2 })),
      seek('r', 1, 17),
      read('t', 'read_committed', { reader: 'r' }),
    ],
  ),
  scenario(
    'a paused partition rests and then goes on where it was',
    [],
    [
      createTopic('t', { partitions: 2 }),
      produce('p', 't', series('v', 20, { over: 2 })),
      read('t', 'read_committed', { reader: 'r' }),
      pause('r', 0),
      produce('p', 't', series('w', 20, { over: 2 })),
      read('t', 'read_committed', { reader: 'r' }),
      resume('r', 0),
      read('t', 'read_committed', { reader: 'r' }),
    ],
  ),
  ...(['none', 'gzip', 'lz4', 'zstd'] as const).map((codec) =>
    scenario(
      `a topic of LogAppendTime has the broker's time, with ${codec}`,
      ['compression', 'topicConfigs'],
      [
        createTopic('t', { config: { 'message.timestamp.type': 'LogAppendTime' } }),
        produce('p', 't', series('v', 10), { 'compression.type': codec }),
        read('t', 'read_committed'),
        offsets('t', { timestamp: T0 }),
      ],
    ),
  ),
  scenario(
    'deleted records are gone, and the rest is where it was',
    ['deleteRecords'],
    [
      createTopic('t'),
      produce('p', 't', series('v', 30)),
      deleteRecords('t', 12),
      offsets('t', 'earliest'),
      offsets('t', 'latest'),
      read('t', 'read_committed', { from: 12 }),
      read('t', 'read_committed', { reader: 'below', from: 11 }),
      seek('below', 0, 29),
      read('t', 'read_committed', { reader: 'below' }),
    ],
  ),
  scenario(
    'a topic whose records are all deleted is empty, and goes on',
    ['deleteRecords'],
    [
      createTopic('t'),
      produce('p', 't', series('v', 5)),
      deleteRecords('t', -1),
      offsets('t', 'earliest'),
      offsets('t', 'latest'),
      read('t', 'read_committed', { reader: 'r', from: 5 }),
      produce('p', 't', series('w', 2)),
      read('t', 'read_committed', { reader: 'r' }),
      read('t', 'read_committed', { reader: 'below', from: 0 }),
    ],
  ),
  scenario(
    'an offset above the end is out of range, and a seek goes on',
    [],
    [
      createTopic('t'),
      produce('p', 't', [record('only')]),
      read('t', 'read_committed', { reader: 'r', from: 7 }),
      seek('r', 0, 0),
      read('t', 'read_committed', { reader: 'r' }),
    ],
  ),
]
