/**
 * BenchTools.java as a child process: compiled once into the cache folder of the repository, started for a broker, asked by
 * one JSON line at a time. It ends with `close`, or when this process does, because its standard input ends then.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { KAFKA_VERSIONS } from '../src/testing/index.ts'
import { installKafka } from '../src/testing/kafka-server/kafka-installation.ts'

const SOURCE = fileURLToPath(new URL('./BenchTools.java', import.meta.url))
const CACHE = fileURLToPath(new URL('../.cache/bench', import.meta.url))

export type Answer = Readonly<Record<string, unknown>>

export class BenchTools {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child
    this.#lines = createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]()
  }

  static async start(bootstrap: string): Promise<BenchTools> {
    const { java, classpath } = await installKafka(KAFKA_VERSIONS.newest)
    const classes = compile(java, classpath)
    const flags = ['-Xmx1500m', '-XX:+UseSerialGC', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
    const args = [...flags, '-cp', `${classes}:${classpath}`, 'BenchTools', bootstrap]
    return new BenchTools(spawn(java, args, { stdio: ['pipe', 'pipe', 'inherit'] }))
  }

  /** One request at a time. */
  async ask(op: string, args: Answer = {}): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify({ op, ...args })}\n`)
    const line = await this.#lines.next()
    if (line.done === true) throw new Error(`BenchTools ended while it was asked ${op}`)
    const answer: Answer = JSON.parse(line.value)
    if (answer.error !== undefined) throw new Error(`BenchTools: ${op}: ${String(answer.error)}`)
    return answer
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.stdin.end()
    await ended
  }
}

function compile(java: string, classpath: string): string {
  const key = createHash('sha256').update(readFileSync(SOURCE)).update(classpath).digest('hex').slice(0, 16)
  const classes = join(CACHE, key)
  if (existsSync(join(classes, 'BenchTools.class'))) return classes
  mkdirSync(classes, { recursive: true })
  const args = ['-m', 'jdk.compiler/com.sun.tools.javac.Main', '-nowarn', '-d', classes, '-cp', classpath, SOURCE]
  const { status, stderr } = spawnSync(java, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`BenchTools.java does not compile: ${stderr}`)
  return classes
}
