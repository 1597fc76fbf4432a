/**
 * One process that runs a job by `millrace run`, as a supervisor would start it: the command, its end, and what it said.
 * Every wait is bounded; a process that outlives its bound is killed and the test fails with all that the process said.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ParentGuard } from '../../src/testing/kafka-server/parent-guard.ts'
import { HURRY, type JointPass, KILLER_VARIABLE, type KillerPlan } from './killer-plan.ts'

const KILLER = fileURLToPath(new URL('./killer.ts', import.meta.url))
const MILLRACE = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** These end what hangs: a slow machine may take ten times as long as usual. */
const LIFE_MS = 300_000
const REACH_MS = 240_000
const STOP_MS = 60_000
const POLL_MS = 10

export interface JobProcessOptions {
  /** What follows `millrace`. */
  readonly command: readonly string[]
  readonly plan: KillerPlan
  readonly guard: ParentGuard
  readonly lifeMs?: number
  readonly cwd?: string
}

export interface JobEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
  /** The joints that this process passed. */
  readonly passes: readonly JointPass[]
}

export class JobProcess {
  readonly pid: number
  readonly ended: Promise<JobEnd>
  readonly #child: ChildProcess
  readonly #plan: KillerPlan
  #stderr = ''
  #end: JobEnd | undefined

  constructor(options: JobProcessOptions) {
    const { command, plan, guard, lifeMs = LIFE_MS } = options
    const args = ['--conditions=millrace-source', '--import', KILLER, MILLRACE, ...command]
    this.#plan = plan
    this.#child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, [KILLER_VARIABLE]: JSON.stringify(plan) },
      cwd: options.cwd ?? process.cwd(),
    })
    const { pid } = this.#child
    assert(pid !== undefined, 'the process of the job did not start')
    this.pid = pid
    guard.enter(pid)
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    let late = false
    const bound = setTimeout(() => {
      late = true
      this.#child.kill('SIGKILL')
    }, lifeMs)
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('close', (code, signal) => {
        clearTimeout(bound)
        guard.takeOut(pid)
        this.#end = { code, signal, stderr: this.#stderr, passes: this.passes() }
        if (late) reject(new Error(`the job did not end within ${lifeMs} ms\n${describeEnd(this.#end)}`))
        else resolve(this.#end)
      })
    })
    this.ended.catch(() => undefined)
  }

  get stderr(): string {
    return this.#stderr
  }

  /** What this process passed so far. */
  passes(): JointPass[] {
    return readTrace(this.#plan.trace).filter((pass) => pass.pid === this.pid)
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal)
  }

  /** Nothing is left to be slow for: it goes to its end as fast as it can. */
  hurry(): void {
    this.kill(HURRY)
  }

  /** Waits until this process passed what is asked for, and answers false when it ended before. */
  async reached(satisfies: (passes: readonly JointPass[]) => boolean, timeoutMs = REACH_MS): Promise<boolean> {
    for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(POLL_MS)) {
      if (satisfies(this.passes())) return true
      if (this.#end !== undefined) return false
    }
    this.kill()
    throw new Error(
      [`the job did not come so far within ${timeoutMs} ms`, this.#stderr, ...lastOf(this.passes())].join('\n'),
    )
  }

  /** The same; that the process ends before fails the test. */
  async reach(satisfies: (passes: readonly JointPass[]) => boolean): Promise<void> {
    if (await this.reached(satisfies)) return
    assert.fail(`the job ended before it came so far: ${describeEnd(await this.ended)}`)
  }

  /** Waits until the process has stopped itself; false when it ended before. */
  async stopped(): Promise<boolean> {
    if (!(await this.reached((passes) => passes.some((pass) => pass.action === 'stop')))) return false
    for (const deadline = Date.now() + STOP_MS; Date.now() < deadline; await sleep(POLL_MS)) {
      if (stateOf(this.pid) === 'T') return true
    }
    throw new Error(`process ${this.pid} did not stop, its state is '${stateOf(this.pid)}'`)
  }
}

export function describeEnd(end: JobEnd): string {
  return [`exit code ${end.code}, signal ${end.signal}; it said:`, end.stderr, ...lastOf(end.passes)].join('\n')
}

function lastOf(passes: readonly JointPass[]): string[] {
  return ['its last joints:', ...passes.slice(-12).map((pass) => JSON.stringify({ ...pass, pid: undefined }))]
}

export function readTrace(path: string): JointPass[] {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n')
  // The last line may just be being written.
  return lines.slice(0, -1).map((line) => JSON.parse(line))
}

/** The state of a process as Linux tells it: T is stopped. */
function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  } catch {
    return ''
  }
}
