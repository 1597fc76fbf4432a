/**
 * Kafka's own Java programs against an embedded broker's TCP port. Each program is a process of its own with a small
 * heap and a bound on its time; a program that is still running when the test ends is killed by its id.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SystemClock, SystemRandom } from '../../src/base/index.ts'
import { type BrokerListener, EmbeddedBroker, type EmbeddedBrokerOptions } from '../../src/broker/index.ts'
import { installKafka, KAFKA_VERSIONS, KafkaJavaTools, ParentGuard } from '../../src/testing/index.ts'

const FLAGS = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData']
const OUTPUT_CHARACTERS_MAX = 4_000_000

export interface ProgramOptions {
  readonly input?: string
  readonly timeoutMs?: number
  /** More jars or folders in front of Kafka's. */
  readonly classpath?: readonly string[]
}

export interface Program {
  /** What it printed so far, standard output and error together. */
  output(): string
  /** Its exit code and all it printed. */
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>
  stop(signal?: NodeJS.Signals): void
}

export class JavaWorld {
  readonly broker: EmbeddedBroker
  readonly bootstrapServers: string
  readonly tools: KafkaJavaTools
  readonly directory: string
  readonly #listener: BrokerListener
  readonly #guard: ParentGuard
  readonly #java: string
  readonly #classpath: string
  readonly #running: Set<ChildProcess> = new Set()

  private constructor(input: {
    broker: EmbeddedBroker
    listener: BrokerListener
    java: string
    classpath: string
  }) {
    this.broker = input.broker
    this.#listener = input.listener
    this.bootstrapServers = input.listener.bootstrapServers
    this.#java = input.java
    this.#classpath = input.classpath
    this.directory = mkdtempSync(join(tmpdir(), 'millrace-broker-'))
    this.#guard = new ParentGuard(this.directory)
    const { java, classpath } = input
    const { bootstrapServers, directory } = this
    this.tools = new KafkaJavaTools({ java, flags: FLAGS, classpath, bootstrapServers, directory, guard: this.#guard })
  }

  static async start(options: Partial<EmbeddedBrokerOptions> = {}): Promise<JavaWorld> {
    const { java, classpath } = await installKafka(KAFKA_VERSIONS.newest)
    const broker = new EmbeddedBroker({ clock: new SystemClock(), random: new SystemRandom(), ...options })
    return new JavaWorld({ broker, listener: await broker.listen(), java, classpath })
  }

  /** Starts a program by its main class, or its single source file, and arguments. */
  start(args: readonly string[], options: ProgramOptions = {}): Program {
    const classpath = [...(options.classpath ?? []), this.#classpath].join(':')
    const child = spawn(this.#java, [...FLAGS, '-cp', classpath, ...args], {
      cwd: this.directory,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#running.add(child)
    if (child.pid !== undefined) this.#guard.enter(child.pid)
    let output = ''
    const take = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARACTERS_MAX)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    const deadline = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 240_000)
    const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
      child.once('close', (code) => {
        clearTimeout(deadline)
        this.#running.delete(child)
        if (child.pid !== undefined) this.#guard.takeOut(child.pid)
        resolve({ code, output })
      })
    })
    return { output: () => output, ended, stop: (signal = 'SIGTERM') => void child.kill(signal) }
  }

  /** Runs one to its end; what it printed. */
  async run(args: readonly string[], options: ProgramOptions = {}): Promise<string> {
    const { code, output } = await this.start(args, options).ended
    if (code !== 0) throw new Error(`${args[0]} ended with ${code}:\n${output.slice(-4_000)}`)
    return output
  }

  async close(): Promise<void> {
    await this.tools.close()
    for (const child of this.#running) child.kill('SIGKILL')
    await this.#listener.close()
    await this.broker.close()
    this.#guard.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
