/**
 * The conformance suite as tests: every scenario, acted out by this project's client on a broker, gives the answers that
 * Kafka's own Java client gave on Apache Kafka. A file of tests for a broker is one call:
 *
 *     conformance(() => apacheKafka())
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { classify, KafkaErrorCode } from '../../src/kafka/index.ts'
import type { BrokerUnderTest } from './broker-under-test.ts'
import { ClientUnderTest } from './client-under-test.ts'
import { readRecording, stepsDigest } from './recording.ts'
import type { Answer, Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios/index.ts'

/** What else this client may call an error of Kafka's: its codes are fewer, and some say more than Kafka's do. */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  UNKNOWN_TOPIC_OR_PARTITION: ['KAFKA_UNKNOWN_PARTITION'],
  // Whether a producer is told that it is fenced or that its epoch is old depends on who it asks first.
  PRODUCER_FENCED: ['INVALID_PRODUCER_EPOCH', 'KAFKA_FENCED', 'KAFKA_TRANSACTION_ABORTED'],
  INVALID_PRODUCER_EPOCH: ['PRODUCER_FENCED', 'KAFKA_FENCED', 'KAFKA_TRANSACTION_ABORTED'],
}

export function conformance(start: () => Promise<BrokerUnderTest>, only: readonly Scenario[] = SCENARIOS): void {
  // Scenarios mostly wait for the broker, and share nothing.
  suite("as Kafka's own Java client", { concurrency: 8 }, () => {
    const recording = readRecording()
    const run = `${process.pid.toString(36)}${Date.now().toString(36)}`
    let broker: BrokerUnderTest | undefined
    before(async () => {
      broker = await start()
    })
    after(() => broker?.close())

    for (const [index, scenario] of only.entries()) {
      test(scenario.name, async (context) => {
        assert.ok(broker !== undefined)
        const recorded = recording[scenario.name]
        assert.equal(recorded?.steps, stepsDigest(scenario), 'these steps were not recorded: run record.ts')
        const { capabilities } = broker
        const missing = scenario.needs.filter((need) => capabilities?.has(need) === false)
        if (missing.length > 0) return context.skip(`${broker.name} lacks ${missing.join(', ')}`)
        const difference = broker.differences?.[scenario.name]
        const comparing = compare(broker, scenario, recorded.answers, `${run}-${index}-`)
        if (difference === undefined) await comparing
        else await assert.rejects(comparing, assert.AssertionError, `no longer different: ${difference}`)
      })
    }
  })
}

async function compare(
  broker: BrokerUnderTest,
  scenario: Scenario,
  recorded: readonly Answer[],
  prefix: string,
): Promise<void> {
  const client = new ClientUnderTest(broker, prefix)
  try {
    for (const [index, step] of scenario.steps.entries()) {
      const expected = recorded[index]
      const given = await client.act(step)
      const said = `step ${index + 1}, ${step.do}`
      const wanted = errorIn(expected)
      if (wanted === undefined) assert.deepEqual(given, expected, said)
      else assert.ok(isSameError(errorIn(given), wanted), `${said}: ${wanted} for Java, here ${JSON.stringify(given)}`)
    }
  } finally {
    await client.close()
  }
}

function errorIn(answer: Answer): string | undefined {
  return typeof answer === 'object' && answer !== null && 'error' in answer ? String(answer.error) : undefined
}

function isSameError(given: string | undefined, wanted: string): boolean {
  if (given === undefined) return false
  const code = (KafkaErrorCode as Readonly<Record<string, number>>)[wanted]
  assert.ok(code !== undefined, `${wanted} is an error of Kafka's`)
  const contexts = ['produce', 'transaction', 'fetch', 'admin'] as const
  const own = contexts.map((context) => classify(code, context).code)
  return given === wanted || own.some((one) => one === given) || ALSO[wanted]?.includes(given) === true
}
