/** Questions about offsets, groups and topics, and what is refused. */
import type { Scenario } from '../scenario.ts'
import {
  commitGroup,
  createTopic,
  deleteRecords,
  describeConfigs,
  describeTopic,
  groupOffsets,
  offsets,
  produce,
  read,
  record,
  scenario,
  series,
  T0,
  transaction,
} from './steps.ts'

const byTime: readonly Scenario[] = [
  scenario(
    'offsets by place and by time',
    [],
    [
      createTopic('t', { partitions: 3 }),
      produce('p', 't', [
        ...series('a', 10, { partition: 0 }),
        ...series('b', 3, { partition: 1, timestamp: T0 + 1_000 }),
      ]),
      ...(['earliest', 'latest', 'maxTimestamp'] as const).map((at) => offsets('t', at, 3)),
      ...[0, T0, T0 + 5, T0 + 9, T0 + 10, T0 + 1_001, T0 + 9_999].map((timestamp) => offsets('t', { timestamp }, 3)),
    ],
  ),
  ...(['none', 'zstd'] as const).map((codec) =>
    scenario(
      `times that go back and forth, with ${codec}`,
      ['compression'],
      [
        createTopic('t'),
        produce(
          'p',
          't',
          [50, 10, 90, 20, 90, 30, 70].map((ms) => record(`at ${ms}`, { timestamp: T0 + ms })),
          { 'compression.type': codec },
        ),
        produce('p', 't', [record('later', { timestamp: T0 + 60 })], { 'compression.type': codec }),
        offsets('t', 'maxTimestamp'),
        ...[0, 10, 11, 51, 60, 90, 91].map((ms) => offsets('t', { timestamp: T0 + ms })),
      ],
    ),
  ),
  scenario(
    'times are searched from the log start on',
    ['deleteRecords'],
    [
      createTopic('t'),
      produce('p', 't', series('v', 5)),
      produce('p', 't', series('w', 5, { timestamp: T0 + 100 })),
      deleteRecords('t', 7),
      offsets('t', 'earliest'),
      offsets('t', { timestamp: T0 }),
      offsets('t', { timestamp: T0 + 104 }),
      offsets('t', 'maxTimestamp'),
    ],
  ),
  scenario(
    'a time behind the records finds the marker, which has one of its own',
    ['transactions'],
    [
      createTopic('t'),
      ...transaction('a', 't', series('v', 3), 'commit'),
      offsets('t', { timestamp: T0 + 2 }),
      offsets('t', { timestamp: T0 + 3 }),
      offsets('t', 'maxTimestamp'),
      offsets('t', { timestamp: T0 + 3 }, 1, 'read_committed'),
    ],
  ),
  scenario(
    'an open transaction is beyond the time a read_committed reader can ask for',
    ['transactions'],
    [
      createTopic('t'),
      produce('p', 't', series('v', 3)),
      ...transaction('a', 't', series('w', 3, { timestamp: T0 + 100 }), 'commit').slice(0, 2),
      offsets('t', { timestamp: T0 + 1 }, 1, 'read_committed'),
      offsets('t', { timestamp: T0 + 100 }, 1, 'read_committed'),
      offsets('t', { timestamp: T0 + 100 }, 1, 'read_uncommitted'),
      offsets('t', 'latest', 1, 'read_committed'),
      { do: 'commit', producer: 'a' },
      offsets('t', { timestamp: T0 + 100 }, 1, 'read_committed'),
      offsets('t', 'latest', 1, 'read_committed'),
    ],
  ),
]

const SIZES = { 'max.request.size': 2_000 }

const groups: readonly Scenario[] = [
  scenario(
    'offsets of a group are kept as they were committed',
    ['groups'],
    [
      createTopic('t', { partitions: 3 }),
      createTopic('u'),
      groupOffsets('g'),
      commitGroup('g', [
        { topic: 't', offset: 5, metadata: 'a note', leaderEpoch: 0 },
        { topic: 't', partition: 2, offset: 0 },
        { topic: 'u', offset: 9_007_199_254_740 },
      ]),
      groupOffsets('g'),
      commitGroup('g', [{ topic: 't', offset: 3 }]),
      groupOffsets('g'),
      groupOffsets('another'),
    ],
  ),
  scenario(
    'an offset of a topic that does not exist is refused',
    ['groups'],
    [commitGroup('g', [{ topic: 'missing', offset: 1 }]), groupOffsets('g')],
  ),
]

const refused: readonly Scenario[] = [
  scenario(
    'a topic that does not exist',
    [],
    [describeTopic('missing'), offsets('missing', 'latest'), produce('p', 'missing', [record('v')])],
  ),
  scenario(
    'a partition that does not exist',
    [],
    [createTopic('t'), produce('p', 't', [record('v', { partition: 5 })])],
  ),
  scenario(
    'a record larger than the client may send',
    [],
    [
      createTopic('t'),
      produce('p', 't', [record({ repeat: 'x', times: 3_000 })], { 'max.request.size': 2_000 }),
      produce('q', 't', [record('small enough')], { 'max.request.size': 2_000 }),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'the largest record, and one of a byte more',
    [],
    [
      createTopic('t'),
      produce('a', 't', [record({ repeat: 'x', times: 1_914 })], SIZES),
      produce('b', 't', [record({ repeat: 'x', times: 1_915 })], SIZES),
      produce('c', 't', [record({ repeat: 'ü', times: 900 }, { key: { repeat: 'k', times: 113 } })], SIZES),
      produce('d', 't', [record({ repeat: 'ü', times: 900 }, { key: { repeat: 'k', times: 114 } })], SIZES),
      produce('e', 't', [record(null, { headers: [['h', { repeat: 'x', times: 1_911 }]] })], SIZES),
      produce('f', 't', [record(null, { headers: [['h', { repeat: 'x', times: 1_912 }]] })], SIZES),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'a record larger than the topic takes',
    ['topicConfigs'],
    [
      createTopic('t', { config: { 'max.message.bytes': 1_000 } }),
      produce('p', 't', [record({ repeat: 'x', times: 3_000 })]),
      produce('q', 't', [record('small enough')]),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'a compacted topic refuses a record without a key',
    ['topicConfigs'],
    [
      createTopic('t', { config: { 'cleanup.policy': 'compact' } }),
      produce('p', 't', [record('no key')]),
      produce('q', 't', [record('with a key', { key: 'k' })]),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'a record too old for its topic',
    ['topicConfigs'],
    [
      createTopic('t', { config: { 'message.timestamp.before.max.ms': 1_000 } }),
      produce('p', 't', [record('old')]),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'records cannot be deleted beyond the end',
    ['deleteRecords'],
    [createTopic('t'), produce('p', 't', series('v', 3)), deleteRecords('t', 9), offsets('t', 'earliest')],
  ),
  scenario(
    'topics that cannot be made',
    [],
    [
      createTopic('t'),
      createTopic('t'),
      createTopic('none', { partitions: 0 }),
      createTopic('many', { replicationFactor: 30 }),
      createTopic('what/name'),
      createTopic('odd', { config: { 'no.such.property': 'x' } }),
      createTopic('wrong', { config: { 'max.message.bytes': 'many' } }),
    ],
  ),
  scenario(
    'settings of a topic are said as they were given',
    ['topicConfigs'],
    [
      createTopic('t', { config: { 'cleanup.policy': 'compact', 'max.message.bytes': 12_345 } }),
      describeConfigs('t', ['cleanup.policy', 'max.message.bytes', 'message.timestamp.type']),
      describeConfigs('missing', ['cleanup.policy']),
    ],
  ),
]

export const asking: readonly Scenario[] = [...byTime, ...groups, ...refused]
