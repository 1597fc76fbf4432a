// One node of a KafkaServer: a JVM that is broker and controller, with the signals a test wants to send it.
//
// What always holds: every wait is bounded and fails with the last lines of the node's log; `pid` is set exactly while
// the process lives; a node that was started is entered with the guard before anything else happens.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '../../base/index.ts'
import { askFeatures, askMetadata, type MetadataAnswer } from './broker-probe.ts'
import { KafkaServerError, tailOfFile } from './kafka-server-error.ts'
import { type ParentGuard, unrefProcess } from './parent-guard.ts'
import type { NodeAddress } from './server-properties.ts'

/** They end what hangs; a slow machine may take ten times as long as usual. */
const STOP_TIMEOUT_MS = 120_000
const KILL_TIMEOUT_MS = 60_000
const START_TIMEOUT_MS = 180_000
const PROBE_TIMEOUT_MS = 15_000
const POLL_MS = 20

export interface KafkaServerNodeInput {
  readonly address: NodeAddress
  readonly directory: string
  readonly properties: string
  readonly java: string
  readonly flags: readonly string[]
  readonly classpath: string
  readonly main: string
  /** `format CLUSTER_ID FEATURE=LEVEL ...`, used once, while there is no data. */
  readonly format: readonly string[]
  readonly guard: ParentGuard
}

export class KafkaServerNode {
  readonly id: number
  readonly host: string = '127.0.0.1'
  readonly port: number
  /** What the node printed: warnings and errors. Removed by the server's `close`. */
  readonly logFile: string
  readonly dataDirectory: string
  readonly #input: KafkaServerNodeInput
  #process: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  #paused = false

  constructor(input: KafkaServerNodeInput) {
    this.#input = input
    this.id = input.address.id
    this.port = input.address.port
    this.logFile = join(input.directory, `node-${this.id}.log`)
    this.dataDirectory = join(input.directory, `data-${this.id}`)
    writeFileSync(this.#propertiesFile, input.properties)
  }

  /** The process id while the process lives, also while it is paused. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  get state(): 'stopped' | 'running' | 'paused' {
    if (this.#process === undefined) return 'stopped'
    return this.#paused ? 'paused' : 'running'
  }

  get bootstrapServer(): string {
    return `${this.host}:${this.port}`
  }

  /** Starts the process; `ready` says when it serves. */
  launch(): void {
    if (this.#process !== undefined) return
    const formatted = existsSync(join(this.dataDirectory, 'meta.properties'))
    const log = openSync(this.logFile, 'a')
    const args = ['-cp', this.#input.classpath, this.#input.main, 'node', this.#propertiesFile]
    const child = spawn(this.#input.java, [...this.#input.flags, ...args, ...(formatted ? [] : this.#input.format)], {
      stdio: ['pipe', log, log],
      detached: true,
      cwd: this.#input.directory,
    })
    closeSync(log)
    this.#process = child
    this.#paused = false
    child.stdin?.on('error', () => {})
    this.#exited = new Promise((resolve) => {
      const gone = (): void => {
        if (child.pid !== undefined) this.#input.guard.takeOut(child.pid)
        if (this.#process === child) this.#process = undefined
        resolve()
      }
      child.once('exit', gone)
      child.once('error', gone)
    })
    if (child.pid !== undefined) this.#input.guard.enter(child.pid)
    unrefProcess(child)
  }

  /** Waits until the node answers and knows all of `ids` as brokers that serve. */
  ready(ids: readonly number[], timeoutMs: number = START_TIMEOUT_MS): Promise<void> {
    const serves = (answer: MetadataAnswer): boolean => ids.every((id) => answer.brokerIds.includes(id))
    return this.waitForMetadata([], serves, `to serve with brokers ${ids.join(', ')}`, timeoutMs)
  }

  /** Waits until what this node says of the cluster and of `topics` satisfies the predicate. */
  waitForMetadata(
    topics: readonly string[],
    satisfies: (answer: MetadataAnswer) => boolean,
    what: string,
    timeoutMs: number = START_TIMEOUT_MS,
  ): Promise<void> {
    return this.#poll(() => askMetadata(this.port, topics, PROBE_TIMEOUT_MS), satisfies, what, timeoutMs)
  }

  /** The finalized features this node goes by, with their levels; one at level 0 is not listed. */
  features(): Promise<ReadonlyMap<string, number>> {
    return askFeatures(this.port, PROBE_TIMEOUT_MS)
  }

  /** Waits until this node goes by the given level of a feature. */
  waitForFeature(feature: string, level: number, timeoutMs: number = START_TIMEOUT_MS): Promise<void> {
    const reached = (found: ReadonlyMap<string, number>): boolean => (found.get(feature) ?? 0) === level
    return this.#poll(() => this.features(), reached, `to go by ${feature}=${level}`, timeoutMs)
  }

  /** Starts the node again and waits until it serves. Does nothing to one that runs. */
  async start(timeoutMs?: number): Promise<void> {
    this.launch()
    await this.ready([this.id], timeoutMs)
  }

  /** Stops the node in an orderly way (SIGTERM): it hands its partitions over and closes its files. */
  async stop(): Promise<void> {
    if (this.#paused) this.resume()
    this.#signal('SIGTERM')
    await this.#waitForExit('SIGTERM', STOP_TIMEOUT_MS)
  }

  /** Ends the node without warning (SIGKILL), paused or not. */
  async kill(): Promise<void> {
    this.#signal('SIGKILL')
    await this.#waitForExit('SIGKILL', KILL_TIMEOUT_MS)
  }

  /** Freezes the node (SIGSTOP): its connections stay open and nothing answers, as with a long pause of its machine. */
  pause(): void {
    if (this.#process === undefined) throw this.#error('KAFKA_FATAL', 'cannot be paused: it does not run')
    this.#signal('SIGSTOP')
    this.#paused = true
  }

  /** Lets a paused node go on (SIGCONT). */
  resume(): void {
    this.#signal('SIGCONT')
    this.#paused = false
  }

  /** Stops the node if it runs, starts it on the same ports with the same data, and waits until it serves. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** The last part of the node's log. */
  log(): string {
    return tailOfFile(this.logFile)
  }

  get #propertiesFile(): string {
    return join(this.#input.directory, `node-${this.#input.address.id}.properties`)
  }

  async #poll<T>(
    ask: () => Promise<T>,
    satisfies: (answer: T) => boolean,
    what: string,
    timeoutMs: number,
  ): Promise<void> {
    const deadline = Date.now() + timeoutMs
    let last = 'nothing was answered'
    while (Date.now() < deadline) {
      if (this.#process === undefined) throw this.#error('KAFKA_FATAL', `has ended while it was expected ${what}`)
      try {
        const answer = await ask()
        if (satisfies(answer)) return
        last = JSON.stringify(answer instanceof Map ? Object.fromEntries(answer) : answer)
      } catch (error) {
        last = describeError(error)
      }
      await sleep(POLL_MS)
    }
    throw this.#error('KAFKA_TIMEOUT', `was expected ${what} within ${timeoutMs} ms; last: ${last}`)
  }

  #signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal)
  }

  async #waitForExit(signal: string, timeoutMs: number): Promise<void> {
    const bound = new AbortController()
    const late = sleep(timeoutMs, 'late', { signal: bound.signal }).catch(() => 'aborted')
    const outcome = await Promise.race([this.#exited, late])
    bound.abort()
    if (outcome === 'late') throw this.#error('KAFKA_TIMEOUT', `has not ended within ${timeoutMs} ms after ${signal}`)
  }

  #error(code: 'KAFKA_FATAL' | 'KAFKA_TIMEOUT', what: string): KafkaServerError {
    const pid = this.pid === undefined ? '' : `, process ${this.pid}`
    const where = `Kafka node ${this.id} (${this.bootstrapServer}${pid}, ${this.#propertiesFile})`
    return new KafkaServerError(code, `${where} ${what}`, { logs: [this.logFile] })
  }
}
