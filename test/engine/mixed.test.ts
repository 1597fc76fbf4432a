/**
 * Everything at once, by seed: crashes, sleepers, tasks that throw, storage that fails, flushes that stall, stops and
 * cancels, over many lives. A failure prints its seed, which replays it: `MILLRACE_SEED=n`.
 */
import { test } from 'node:test'
import { MillraceError, SeededRandom } from '../../src/base/index.ts'
import { assertExact, finish, type Life, start } from './life.ts'
import { ModelWorld } from './model-world.ts'

const CRASH_JOINTS = [
  'attempt-written',
  'barrier-sent',
  'snapshot-written',
  'metadata-written',
  'record-linked',
  'completed-written',
  'transaction-ended',
  'all-ended',
  'committed-written',
  'checkpoint-failed',
  'final-checkpoint',
  'final-committed',
]
const LIVES = 5
const SEEDS = process.env.MILLRACE_LONG === '1' ? 3_000 : 100
/** What a life may end with when it was troubled and is not to blame; the next life goes on. */
const EXCUSED = ['STORAGE_FAILED', 'CHECKPOINT_FAILED', 'SUPERSEDED', 'CANCELLED']

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class Dice {
  readonly #random: SeededRandom

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
  }

  below(limit: number): number {
    return Math.floor(this.#random.next() * limit)
  }

  chance(probability: number): boolean {
    return this.#random.next() < probability
  }

  joint(): string {
    return CRASH_JOINTS[this.below(CRASH_JOINTS.length)] ?? ''
  }
}

/** Gives a life its troubles. */
function trouble({ life }: Life, dice: Dice, world: ModelWorld): void {
  if (dice.chance(0.4)) {
    const at = dice.below(world.recordsPerSplit)
    let thrown = false
    life.onElement = (value) => {
      if (thrown || value % 1_000_000 !== at) return
      thrown = true
      throw new Error('a function throws')
    }
  }
  if (dice.chance(0.4)) {
    let calm = 5 + dice.below(200)
    let faults = 1 + dice.below(3)
    const kind = dice.chance(0.5) ? 'before' : 'after'
    life.storageFault = () => (calm-- > 0 || faults-- <= 0 ? undefined : kind)
  }
  if (dice.chance(0.3)) {
    const rate = dice.below(10)
    life.flushStalls = (checkpoint) => checkpoint % 10 === rate
  }
  if (dice.chance(0.3)) life.crashAt(dice.joint(), 1 + dice.below(6))
}

async function mixed(seed: number): Promise<void> {
  const dice = new Dice(seed)
  const world = new ModelWorld(1 + dice.below(3), 60 + dice.below(140))
  const sleepers: { readonly life: Life; readonly ended: Promise<unknown> }[] = []
  for (let n = 0; n < LIVES; n++) {
    const life = start(world, seed * 100 + n, {
      configure: {
        'execution.checkpointing.tolerable-failed-checkpoints': dice.below(4),
        'execution.checkpointing.timeout': 25,
        'execution.checkpointing.max-concurrent-checkpoints': 1 + dice.below(3),
        'execution.checkpointing.interval': 1 + dice.below(4),
        'restart-strategy.fixed-delay.attempts': dice.below(5),
      },
    })
    trouble(life, dice, world)
    let asleep = false
    if (dice.chance(0.4)) {
      life.life.atJoint(dice.joint(), 1 + dice.below(4), () => {
        asleep = true
        life.life.sleep()
      })
    }
    let ended = false
    const running = life.run().then((end) => {
      ended = true
      if (end.kind !== 'failed') return
      const code = MillraceError.is(end.error) ? end.error.code : end.error.message
      if (!EXCUSED.includes(code) && code !== 'a function throws') throw end.error
    })
    running.catch(() => undefined)
    const patience = dice.chance(0.3) ? dice.below(120) : Number.POSITIVE_INFINITY
    for (let turns = 0; !ended && !asleep && turns < patience; turns++) await turn()
    if (!ended && !asleep) {
      if (dice.chance(0.5))
        life
          .job()
          .stop()
          .catch(() => undefined)
      else
        life
          .job()
          .cancel()
          .catch(() => undefined)
    }
    // It may fall asleep on its way to the end as well.
    while (!ended && !asleep) await turn()
    if (ended) await running
    else sleepers.push({ life, ended: running })
    if (sleepers.length > 1 && dice.chance(0.7)) sleepers[0]?.life.life.wake()
  }
  const last = finish(world, seed * 100 + 99)
  for (const { life } of sleepers) {
    for (let turns = dice.below(60); turns > 0; turns--) await turn()
    life.life.wake()
  }
  await last
  await Promise.all(sleepers.map(({ ended }) => ended))
  assertExact(world, { published: false })
}

test(`troubles of every kind in ${SEEDS} random orders lose and double nothing`, async () => {
  const only = process.env.MILLRACE_SEED
  const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, index) => index + 1) : [Number(only)]
  for (const seed of seeds) {
    try {
      await mixed(seed)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error })
    }
  }
})
