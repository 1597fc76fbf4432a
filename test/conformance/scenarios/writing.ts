/** What is written arrives as it was: every part of a record, every codec, every way of acknowledging, every partition. */
import type { Bytes, RecordToWrite, Scenario } from '../scenario.ts'
import { createTopic, describeTopic, offsets, produce, read, record, scenario, series, T0 } from './steps.ts'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** Records of every shape: null and empty parts, text beyond ASCII, bytes that are no text, headers of all kinds. */
const SHAPES: readonly RecordToWrite[] = [
  record('plain', { key: 'key' }),
  record(null, { key: 'tombstone' }),
  record('no key'),
  record(null),
  record('', { key: '' }),
  record('grüße, 日本語, 🦄', { key: 'ключ' }),
  record({ hex: '00ff80fe7f' }, { key: { hex: 'c328a0a1' } }),
  record('at zero', { timestamp: 0 }),
  record('before the one before it', { timestamp: T0 - 5_000 }),
  record('in the future of the others', { timestamp: T0 + 86_400_000 }),
  record('headers', {
    headers: [
      ['a', 'one'],
      ['a', 'two'],
      ['', 'no name'],
      ['null', null],
      ['empty', ''],
      ['bytes', { hex: 'ff00' }],
      ['имя', 'ü'],
    ],
  }),
]

const manyHeaders = Array.from({ length: 300 }, (_, index): [string, Bytes] => [`header-${index}`, `value ${index}`])

const KEYS: readonly string[] = [
  '',
  'a',
  'ab',
  'abc',
  'abcd',
  'TT0124',
  '354afe16-939a-4ea8-8e17-8bb0840b6886',
  'f562ac3b-2224-4e25-a0ab-56094e10c239',
  'grüße',
  '日本語',
  '🦄',
  ...Array.from({ length: 120 }, (_, index) => `key-${index * 7919}`),
]

export const writing: readonly Scenario[] = [
  scenario(
    'records of every shape are read as they were written',
    [],
    [createTopic('t'), produce('p', 't', SHAPES), read('t', 'read_committed'), offsets('t', 'latest')],
  ),
  ...CODECS.map((codec) =>
    scenario(
      `records written with ${codec} are read as they were written`,
      ['compression'],
      [
        createTopic('t'),
        produce('p', 't', [...SHAPES, ...series('a value that resembles the others ', 400, { key: 'k' }), ...SHAPES], {
          'compression.type': codec,
        }),
        read('t', 'read_committed'),
        read('t', 'read_uncommitted', { from: 205 }),
        offsets('t', 'latest'),
      ],
    ),
  ),
  scenario(
    'a topic with a codec of its own gives back what was written with another',
    ['compression', 'topicConfigs'],
    [
      createTopic('t', { config: { 'compression.type': 'zstd' } }),
      produce('p', 't', series('v', 50), { 'compression.type': 'gzip' }),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'large headers and many headers',
    [],
    [
      createTopic('t'),
      produce('p', 't', [
        record('large', { headers: [['large', { repeat: 'h', times: 100_000 }]] }),
        record('many', { headers: manyHeaders }),
        record('long name', { headers: [['n'.repeat(1_000), 'x']] }),
      ]),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'a record nearly as large as a request, then small ones',
    [],
    [
      createTopic('t'),
      produce('p', 't', [record({ repeat: 'x', times: 1_000_000 }), ...series('v', 5)]),
      read('t', 'read_committed'),
      read('t', 'read_uncommitted', { settings: { 'max.partition.fetch.bytes': 1_000, 'fetch.max.bytes': 1_000 } }),
    ],
  ),
  ...[1, 2, 3, 7, 16].map((partitions) =>
    scenario(
      `keys choose among ${partitions} partitions as Kafka's own partitioner`,
      [],
      [
        createTopic('t', { partitions }),
        produce(
          'p',
          't',
          KEYS.map((key) => record(key, { key, partition: -1 })),
        ),
        read('t', 'read_committed'),
      ],
    ),
  ),
  scenario(
    'bytes that are no text choose their partition as well',
    [],
    [
      createTopic('t', { partitions: 5 }),
      produce(
        'p',
        't',
        ['ff', 'fffe', '80818283', 'c328a0a1ff', '0000000000'].map((hex) =>
          record(hex, { key: { hex }, partition: -1 }),
        ),
      ),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'a partition that is named wins over the key',
    [],
    [
      createTopic('t', { partitions: 3 }),
      produce('p', 't', series('v', 30, { key: 'the same', over: 3 })),
      read('t', 'read_committed'),
      offsets('t', 'latest', 3),
      describeTopic('t'),
    ],
  ),
  scenario(
    'one producer writes several topics',
    [],
    [
      createTopic('a'),
      createTopic('b', { partitions: 2 }),
      produce('p', 'a', series('a', 3)),
      produce('p', 'b', series('b', 4, { over: 2 })),
      produce('p', 'a', series('c', 2)),
      read('a', 'read_committed'),
      read('b', 'read_committed'),
    ],
  ),
  scenario(
    'without idempotence, acknowledged by the leader',
    [],
    [
      createTopic('t'),
      produce('p', 't', series('v', 100), { acks: '1', 'enable.idempotence': 'false' }),
      read('t', 'read_committed'),
    ],
  ),
  scenario(
    'tombstones in a compacted topic',
    ['topicConfigs'],
    [
      createTopic('t', { config: { 'cleanup.policy': 'compact' } }),
      produce('p', 't', [record('1', { key: 'a' }), record(null, { key: 'a' }), record('2', { key: 'b' })]),
      read('t', 'read_committed'),
    ],
  ),
]
