/**
 * `millrace demo`: exactly-once, shown. An embedded Kafka, a generator of orders and the account live in this process; the job
 * runs in one of its own, which is killed with SIGKILL every few seconds, or on the key k, and started again by the same command.
 *
 * What always holds: the account is made from the output topic, read at read_committed; the last one, after the generator has
 * ended and the job has caught up and stopped, is exact, and the exit code is 0 only when it balances; the folder of the job
 * and its process are gone when this process is, even when that is killed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '../../base/index.ts'
import { Account, balances } from './account.ts'
import type { DemoCommand } from './demo-arguments.ts'
import { DemoWorld } from './demo-world.ts'
import { JobProcess } from './job-process.ts'
import { balanceText, Screen } from './screen.ts'

const LOOK_MS = 200
/** A life of the job ends at a random moment of this range, so that kills meet checkpoints in every phase. */
const LIFE_MS = { least: 2_000, most: 4_000 }
/** A life in which nothing was committed lasts longer, so that a slow machine gets on too. */
const FRUITLESS_LIFE_MS = 20_000
/** So long nothing may be committed after the generator has ended. */
const STANDSTILL_MS = 60_000
const STOP_MS = 60_000
/** A job that ends by itself so often in a row, without committing anything, will not get better. */
const OWN_ENDS_MAX = 3
/** npx passes a Ctrl-C on that the terminal has sent here already. */
const SAME_WISH_MS = 500

/** `jobFile`: another job in the place of the demo's, for the test that a wrong one is found out. */
export async function demoCommand(command: DemoCommand, jobFile?: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-demo-'))
  const demo = new Demo(folder, jobFile)
  try {
    return await demo.run(command.seconds)
  } finally {
    await demo.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

class Demo {
  readonly #account = new Account()
  readonly #world = new DemoWorld(this.#account)
  readonly #screen = new Screen(this.#world.clock)
  readonly #folder: string
  readonly #jobFile: string | undefined
  #brokers = ''
  #job: JobProcess | undefined
  #lifeMs = 0
  /** What was committed when this life of the job began, and whether its first new commit was told. */
  #committedBefore = 0
  #killedAtMs: number | undefined
  #kills = 0
  #ownEnds = 0
  #killNow = false
  #stopAskedMs: number | undefined

  constructor(folder: string, jobFile: string | undefined) {
    this.#folder = folder
    this.#jobFile = jobFile
  }

  async run(seconds: number | undefined): Promise<number> {
    const { clock } = this.#world
    const screen = this.#screen
    this.#brokers = await this.#world.start()
    screen.say(`An Apache Kafka in memory is at ${this.#brokers}; 2,000 orders a second go to the topic orders.`)
    screen.say(
      'The job reads them, parses, leaves out the small ones, looks up shipping and writes large-orders, exactly once.',
    )
    const keys = screen.listen({ kill: () => (this.#killNow = true), stop: () => this.#askToStop() })
    const how = keys ? 'k kills it now, Ctrl-C ends the demo' : 'Ctrl-C ends the demo'
    screen.say(`Every few seconds its process is killed with SIGKILL and started again; ${how}.`)
    process.on('SIGINT', this.#onSignal)
    process.on('SIGTERM', this.#onSignal)
    const generator = await this.#world.generate()
    this.#startJob()
    const endMs = clock.monotonic() + (seconds ?? Number.POSITIVE_INFINITY) * 1_000
    while (clock.monotonic() < endMs && this.#stopAskedMs === undefined) {
      await this.#look()
      await this.#perhapsKill()
      await clock.sleep(LOOK_MS)
    }
    screen.say('No more orders; the job catches up and is stopped with SIGTERM.')
    await generator.stop()
    await this.#catchUp()
    return await this.#lastAccount()
  }

  async close(): Promise<void> {
    process.off('SIGINT', this.#onSignal)
    process.off('SIGTERM', this.#onSignal)
    this.#screen.close()
    await this.#job?.kill()
    await this.#world.close()
  }

  /** Reads what is committed, shows it, and sees to it that the job runs. */
  async #look(): Promise<void> {
    const { clock } = this.#world
    await this.#world.read()
    const balance = this.#account.balance()
    if (this.#killedAtMs !== undefined && balance.committed > this.#committedBefore) {
      const seconds = (clock.monotonic() - this.#killedAtMs) / 1_000
      this.#screen.say(`  back: committed again ${seconds.toFixed(1)} s after the kill`)
      this.#killedAtMs = undefined
      this.#ownEnds = 0
    }
    this.#screen.status(balanceText(balance, this.#kills))
    if (this.#job?.running === true) return
    const said = this.#job?.said ?? ''
    this.#ownEnds++
    if (this.#ownEnds > OWN_ENDS_MAX) {
      throw new MillraceError('USER_FUNCTION_FAILED', `the demo's job ended by itself ${this.#ownEnds} times: ${said}`)
    }
    this.#screen.say(`the job ended by itself, which is a fault of millrace: ${said}`)
    this.#startJob()
  }

  #startJob(): void {
    const { clock, random } = this.#world
    this.#job = new JobProcess(this.#folder, this.#brokers, clock, this.#jobFile)
    this.#lifeMs = LIFE_MS.least + random.next() * (LIFE_MS.most - LIFE_MS.least)
    this.#committedBefore = this.#account.balance().committed
  }

  async #perhapsKill(): Promise<void> {
    const job = this.#job
    if (job === undefined) return
    const { clock } = this.#world
    const livedMs = clock.monotonic() - job.startedMs
    const fruitful = this.#account.balance().committed > this.#committedBefore
    const due = livedMs >= (fruitful ? this.#lifeMs : FRUITLESS_LIFE_MS)
    if (!due && !this.#killNow) return
    this.#killNow = false
    await job.kill()
    this.#kills++
    this.#screen.say(`SIGKILL to process ${job.pid} after ${(livedMs / 1_000).toFixed(1)} s; the same command again`)
    // What it had committed before it died is not its successor's.
    await this.#world.read()
    this.#killedAtMs = clock.monotonic()
    this.#startJob()
  }

  async #catchUp(): Promise<void> {
    const { clock } = this.#world
    let committed = -1
    let progressMs = clock.monotonic()
    for (;;) {
      await this.#look()
      if (this.#account.complete) return
      const now = this.#account.balance().committed
      if (now !== committed) {
        committed = now
        progressMs = clock.monotonic()
      }
      if (clock.monotonic() - progressMs > STANDSTILL_MS) return
      await clock.sleep(LOOK_MS)
    }
  }

  async #lastAccount(): Promise<number> {
    const stopped = await this.#job?.stop(STOP_MS, this.#world.clock)
    await this.#world.read()
    const balance = this.#account.balance(true)
    const right = balances(balance)
    this.#screen.say(balanceText(balance, this.#kills))
    if (stopped !== true) this.#screen.say(`The job did not stop as it should: ${this.#job?.said ?? ''}`)
    this.#screen.say(right ? 'The account balances: every order once.' : 'The account does NOT balance.')
    return right && stopped === true ? 0 : 1
  }

  readonly #onSignal = (): void => this.#askToStop()

  /** The second wish ends the demo at once. */
  #askToStop(): void {
    const nowMs = this.#world.clock.monotonic()
    if (this.#stopAskedMs === undefined) {
      this.#stopAskedMs = nowMs
      return
    }
    if (nowMs - this.#stopAskedMs < SAME_WISH_MS) return
    this.#screen.close()
    // The job's process sees the end of its pipe, removes the folder and ends.
    process.exit(1)
  }
}
