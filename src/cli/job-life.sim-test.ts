/** Commands about jobs that run in other processes: found, asked, ended; killed ones cleaned away; supervised ones started again. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { controlSocket } from './control/control-server.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
const JOB = fileURLToPath(new URL('./endless-job.fixture.ts', import.meta.url))
/** For what hangs: a process, and a wait. */
const LIFE_MS = 200_000
const PATIENCE_MS = 100_000
/** Each test starts up to ten processes. */
const bounded = { timeout: 400_000 }

const root = mkdtempSync(join(tmpdir(), 'millrace-life-'))
const children = new Set<ChildProcess>()
after(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(root, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** A folder of its own, with a name as long as wanted, and an index of its own. */
class Place {
  readonly folder: string
  readonly checkpoints: string

  constructor(name: string) {
    this.folder = join(root, name)
    mkdirSync(this.folder, { recursive: true })
    this.checkpoints = join(this.folder, '.millrace')
  }

  get job(): string {
    return join(this.checkpoints, 'endless')
  }

  spawn(args: readonly string[], cwd = this.folder): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
    const child = spawn(process.execPath, ['--conditions=millrace-source', MAIN, ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, XDG_RUNTIME_DIR: join(root, 'runtime') },
    })
    children.add(child)
    let [out, err] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text
    })
    const bound = setTimeout(() => child.kill('SIGKILL'), LIFE_MS)
    const ended = once(child, 'close').then(([code]) => {
      clearTimeout(bound)
      children.delete(child)
      return { code: code as number | null, out, err }
    })
    return { child, ended }
  }

  run(...options: string[]): ReturnType<Place['spawn']> {
    return this.spawn(['run', JOB, '--quiet', '-D', 'execution.checkpointing.interval=50', ...options])
  }

  command(...args: string[]): Promise<Ended> {
    return this.spawn(args).ended
  }

  records(): number {
    return existsSync(join(this.job, 'log')) ? readdirSync(join(this.job, 'log')).length : 0
  }

  /** Of the job's processes; the history is written beside the log, sooner or later than it. */
  runs(): readonly { readonly pid: number; readonly outcome?: string }[] {
    const path = join(this.job, 'runs.json')
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).runs : []
  }

  /** Until it runs, as the nth process, and has completed as many checkpoints more. */
  async running(more = 2, nth = 1): Promise<void> {
    const wanted = this.records() + more + 1
    const said = (): string => `${this.records()} of ${wanted} records, ${this.runs().length} of ${nth} runs`
    await until(
      () => this.records() >= wanted && existsSync(controlSocket(this.job)) && this.runs().length >= nth,
      () => `it does not run: ${said()}`,
    )
  }
}

async function until(holds: () => boolean, said: () => string): Promise<void> {
  for (const beganMs = performance.now(); !holds(); await sleep(20)) {
    if (performance.now() - beganMs > PATIENCE_MS) assert.fail(said())
  }
}

test(
  'a running job is found from its directory and from elsewhere, tells of itself, and is stopped by its name',
  bounded,
  async () => {
    const place = new Place('stop')
    const job = place.run()
    await place.running()
    for (const from of [place, new Place('elsewhere')]) {
      const listed = await from.command('list')
      assert.match(listed.out, /^JOB .*\nendless +running .* \d+ +\S+stop\/\.millrace\/endless\n$/)
    }
    const told = await place.command('checkpoints', 'endless')
    assert.match(told.out, /endless running, attempt 1/)
    assert.match(told.out, /\nRUN FROM .*\n\S+ \S+ +- +running/)
    assert.match(told.out, new RegExp(`process ${job.child.pid} since .*endless-job`))
    const stopped = await place.command('stop', 'endless')
    assert.deepEqual([stopped.code, stopped.err], [0, ''])
    assert.match(stopped.out, /endless stopped with a last checkpoint/)
    const end = await job.ended
    assert.equal(end.code, 0, end.err)
    assert.match(end.err, /asked to stop[\s\S]*stopped with a last checkpoint/)
    assert.equal(existsSync(controlSocket(place.job)), false)
    assert.match((await place.command('list')).out, /no job is running on this machine/)
    assert.match((await place.command('list', '--all')).out, /endless +stopped/)
    const again = await place.command('stop', 'endless')
    assert.equal(again.code, 1)
    assert.match(again.err, /no process on this machine runs job "endless" \[JOB_NOT_RUNNING\]/)
  },
)

test(
  'a cancelled job ends with exit code 0 and without a last checkpoint, and what it was is in its history',
  bounded,
  async () => {
    const place = new Place('cancel')
    const job = place.run('-D', 'execution.checkpointing.num-retained=3')
    await place.running(4)
    const cancelled = await place.command('cancel', 'endless')
    assert.equal(cancelled.code, 0, cancelled.err)
    const end = await job.ended
    assert.equal(end.code, 0)
    assert.match(end.err, /was cancelled; the same command resumes it/)
    const told = await place.command('checkpoints', 'endless')
    assert.match(told.out, /^endless cancelled, attempt 1/)
    assert.match(told.out, /\d+ +1 +\S+ \S+ +24 B +committed +no records +(chk-\d+-1)/)
    const folder = /(chk-\d+-1)/.exec(told.out)?.[1] ?? ''
    const inspected = await place.command('inspect', join(place.job, folder))
    assert.equal(inspected.code, 0, inspected.err)
    assert.match(inspected.out, /^checkpoint \d+ of job endless, attempt 1, taken /)
    assert.match(inspected.out, /enumerator .*\n.*split +subtask 0 +24 B/)
    const wrong = await place.command('inspect', place.folder)
    assert.equal(wrong.code, 1)
    assert.match(wrong.err, /there is no savepoint or checkpoint .*\[CHECKPOINT_DAMAGED\]/)
  },
)

test(
  'what a killed job left is cleaned away, its run counts as killed, and the next start takes the socket again',
  bounded,
  async () => {
    const place = new Place('killed')
    const first = place.run()
    await place.running()
    first.child.kill('SIGKILL')
    await first.ended
    assert.equal(existsSync(controlSocket(place.job)), true)
    assert.match((await place.command('list', '--all')).out, /endless +killed/)
    assert.equal(existsSync(controlSocket(place.job)), false)
    const second = place.run()
    await place.running(2, 2)
    const told = await place.command('checkpoints', 'endless')
    assert.match(told.out, /running, attempt \d+[\s\S]*\n\S+ \S+ +- +running[^\n]*\n\S+ \S+ +- +killed/)
    assert.equal((await place.command('stop', 'endless')).code, 0)
    assert.equal((await second.ended).code, 0)
  },
)

test('a directory whose path is longer than that of a socket may be has its socket elsewhere', bounded, async () => {
  const place = new Place(join('long', 'x'.repeat(60), 'y'.repeat(60)))
  const job = place.run()
  await place.running()
  assert.equal(controlSocket(place.job).startsWith(place.job), false)
  assert.match((await place.command('list')).out, /endless +running/)
  assert.equal((await place.command('stop', 'endless')).code, 0)
  assert.equal((await job.ended).code, 0)
})

test(
  '--supervise starts a killed process again, passes the wish to stop on, and ends with its exit code',
  bounded,
  async () => {
    const place = new Place('supervised')
    const supervised = place.run('--supervise', '-D', 'restart-strategy.exponential-delay.initial-backoff=50 ms')
    for (let kills = 0; kills < 2; kills++) {
      await place.running(2, kills + 1)
      const { pid } = place.runs().at(-1) ?? assert.fail('no run')
      assert.notEqual(pid, supervised.child.pid)
      process.kill(pid, 'SIGKILL')
    }
    await place.running(2, 3)
    supervised.child.kill('SIGTERM')
    const { code, err } = await supervised.ended
    assert.equal(code, 0, err)
    assert.equal(err.match(/was killed by SIGKILL; it is started again in 0\.\d s/g)?.length, 2, err)
    assert.match(err, /stopped with a last checkpoint/)
    assert.match((await place.command('list', '--all')).out, /endless +stopped/)
  },
)

test('a supervised job that is stopped by its name, or is wrong usage, is not started again', bounded, async () => {
  const place = new Place('ended')
  const job = place.run('--supervise')
  await place.running()
  assert.equal((await place.command('stop', 'endless')).code, 0)
  assert.equal((await job.ended).code, 0)
  const wrong = await place.command('run', join(place.folder, 'none.ts'), '--supervise')
  assert.equal(wrong.code, 2)
  assert.doesNotMatch(wrong.err, /started again/)
})

test('when the supervisor is killed its process stops by itself, with a last checkpoint', bounded, async () => {
  const place = new Place('orphan')
  const supervised = place.run('--supervise')
  await place.running()
  supervised.child.kill('SIGKILL')
  await until(
    () => place.runs().at(-1)?.outcome === 'stopped',
    () => `it goes on: ${JSON.stringify(place.runs())}`,
  )
})

test('savepoint says that it is not there yet; info shows the graph', bounded, async () => {
  const place = new Place('others')
  const refused = await place.command('savepoint', 'endless')
  assert.equal(refused.code, 2)
  assert.match(refused.err, /this version makes no savepoints \[NOT_SUPPORTED\]/)
  const info = await place.command('info', JOB, '-p', '3')
  assert.equal(info.code, 0, info.err)
  assert.match(info.out, /^job endless\n\nUID .*\n\S+ +Generator +source +3\n\S+ +Filter +operator +3 +\S+\n/)
})
