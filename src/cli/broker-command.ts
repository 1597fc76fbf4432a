/**
 * `millrace broker`: an embedded Kafka on a TCP port until a signal ends it. What it holds is in memory and gone afterwards.
 */
import { parseArgs } from 'node:util'
import { MillraceError, SystemClock, SystemRandom, TextLogger } from '../base/index.ts'
import type { EmbeddedTopicOptions } from '../broker/index.ts'

export interface BrokerCommand {
  readonly kind: 'broker'
  readonly host: string
  readonly port: number
  readonly nodes: number
  readonly transactionVersion: 1 | 2
  readonly memoryBytesMax: number
  readonly topics: Readonly<Record<string, EmbeddedTopicOptions>>
  readonly debug: boolean
}

const OPTIONS = {
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '9092' },
  nodes: { type: 'string', default: '1' },
  'transaction-version': { type: 'string', default: '2' },
  'memory-mb': { type: 'string', default: '1024' },
  topic: { type: 'string', multiple: true, default: [] as string[] },
  debug: { type: 'boolean', default: false },
} as const

const PORT_MAX = 65_535
const NODES_MAX = 100
const MEGABYTE = 1024 * 1024

/** The arguments behind `broker`. */
export function parseBrokerCommand(args: readonly string[]): BrokerCommand {
  const { values } = parse(args)
  const version = number('transaction-version', values['transaction-version'], 1, 2)
  return {
    kind: 'broker',
    host: values.host,
    port: number('port', values.port, 0, PORT_MAX),
    nodes: number('nodes', values.nodes, 1, NODES_MAX),
    transactionVersion: version === 1 ? 1 : 2,
    memoryBytesMax: number('memory-mb', values['memory-mb'], 1, 1_000_000) * MEGABYTE,
    topics: Object.fromEntries(values.topic.map(topicOf)),
    debug: values.debug,
  }
}

/** Resolves with the exit code when a signal came and all is closed. */
export async function brokerCommand(command: BrokerCommand): Promise<number> {
  const { host, port, nodes, transactionVersion, memoryBytesMax, topics, debug } = command
  // Loaded only here: every command reads its arguments with this file, and only this one needs a broker.
  const { EmbeddedBroker } = await import('../broker/index.ts')
  const broker = new EmbeddedBroker({
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: new TextLogger({ write: (line) => process.stderr.write(line), level: debug ? 'debug' : 'warn' }),
    nodes,
    transactionVersion,
    memoryBytesMax,
    topics,
  })
  const listener = await broker.listen({ host, port })
  // Whoever reads where it is may end it at once.
  const asked = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
  process.stdout.write(`millrace: a Kafka in memory at ${listener.bootstrapServers}; Ctrl-C ends it\n`)
  await asked
  await broker.close()
  return 0
}

function parse(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>> {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true })
  } catch (error) {
    throw usage(error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error))
  }
}

function number(option: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) throw usage(`--${option} ${text}: a whole number from ${min} to ${max}`)
  return value
}

/** `NAME` or `NAME:PARTITIONS`. */
function topicOf(text: string): readonly [string, EmbeddedTopicOptions] {
  const [name = '', partitions] = text.split(':')
  return [name, partitions === undefined ? {} : { partitions: number('topic', partitions, 1, 10_000) }]
}

function usage(message: string): MillraceError {
  return new MillraceError('USAGE', message, { next: 'See millrace help.' })
}
