/**
 * The log of a job: numbered records, each created by a conditional put, so that of two processes that believe to own the
 * job exactly one gets a number. After creating a record the log is listed: a higher number, or a `base` at or above the
 * own one, means that this process was superseded (rule 9), and nothing may follow. An unreadable record stops the job.
 */
import {
  assert,
  type Clock,
  joint,
  MillraceError,
  type NewObject,
  type Random,
  type Storage,
} from '../../base/index.ts'
import { JobHistory } from './job-history.ts'
import { damaged, decodeLogEntry, encodeLogEntry, type LogEntry, type LogRecord } from './job-log-record.ts'

const FOLDER = 'log'
/** Records kept behind a `base` before the log is pruned again. */
const RECORDS_MAX = 200
/** How often a log may be pruned by another process while it is being read. */
const READ_TRIES = 5

export interface JobLogPorts {
  readonly storage: Storage
  readonly clock: Clock
  readonly random: Random
}

/** A record that has no place in the log yet. `staged`: its bytes are durable already. */
interface Unplaced {
  readonly entry: Omit<LogEntry, 'number'>
  readonly bytes: Buffer
  readonly staged?: NewObject
}

export class JobLog {
  readonly #ports: JobLogPorts
  #history = new JobHistory()
  #next = 1
  #oldest = 1
  #attempt = 0
  /** Nonces of records whose writing was reported as failed: they may stand in the log all the same. */
  readonly #unanswered = new Set<string>()
  /** By what they say. */
  readonly #staged = new Map<string, Unplaced>()
  #expected: NewObject | undefined

  constructor(ports: JobLogPorts) {
    this.#ports = ports
  }

  get history(): JobHistory {
    return this.#history
  }

  /** The own attempt: the place of the record that `begin` created. */
  get attempt(): number {
    return this.#attempt
  }

  /**
   * Reads what the log says now, from its last `base` on. Throws LOG_DAMAGED, and SUPERSEDED when another process began an
   * attempt after the own one: a restart must not take the job back.
   */
  async read(): Promise<JobHistory> {
    let numbers = await this.#numbers()
    for (let tries = 1; ; tries++) {
      const found = await this.#readFrom(numbers)
      if (Array.isArray(found)) {
        this.#history = JobHistory.of(found)
        this.#refuseOtherOwner(found)
        this.#oldest = numbers[0] ?? 1
        this.#next = (numbers.at(-1) ?? 0) + 1
        return this.#history
      }
      // Another process may have pruned the log while it was being read; then it lists differently now.
      const now = await this.#numbers()
      if (tries === READ_TRIES || now.join() === numbers.join()) throw damaged(this.#where(found.missing), found.why)
      numbers = now
    }
  }

  /**
   * Backwards until a `base`: it says all that the records below it said, and those may be half pruned, or written by a
   * process that slept while they were.
   */
  async #readFrom(numbers: readonly number[]): Promise<LogEntry[] | { missing: number; why: string }> {
    const entries: LogEntry[] = []
    for (const number of numbers.toReversed()) {
      const above = entries.at(-1)
      if (above !== undefined && above.number !== number + 1) {
        return { missing: above.number - 1, why: 'this record is missing between others' }
      }
      const entry = await this.#readEntry(number)
      if (entry === undefined) return { missing: number, why: 'it was listed and cannot be found' }
      entries.push(entry)
      if (entry.record.kind === 'base') break
    }
    const first = entries.at(-1)
    if (first !== undefined && first.number !== 1 && first.record.kind !== 'base') {
      return { missing: first.number - 1, why: 'the records before the first one are missing' }
    }
    return entries.reverse()
  }

  #refuseOtherOwner(entries: readonly LogEntry[]): void {
    const last = this.#history.lastAttempt
    if (this.#attempt === 0 || last <= this.#attempt) return
    const nonce = entries.find((entry) => entry.number === last)?.nonce
    if (nonce === undefined || !this.#unanswered.has(nonce)) throw this.#superseded(last)
  }

  /**
   * Takes the next place with an `attempt` record. When another process took it first, answers undefined: read again, and
   * choose the restore point again, before trying again (rule 7).
   */
  async begin(record: LogRecord & { kind: 'attempt' }): Promise<number | undefined> {
    const number = this.#next
    if (!(await this.#put(number, this.#encode(number, record)))) return undefined
    this.#attempt = number
    await this.#checkOwnership(number)
    joint('attempt-written', { attempt: number })
    return number
  }

  /** A record will be staged soon. */
  expect(): void {
    this.#expected ??= this.#ports.storage.stage(FOLDER)
  }

  /** Does ahead what takes longest of appending this very record, if it is the next one of the own attempt. */
  async stage(record: LogRecord): Promise<void> {
    const unplaced = this.#encode(this.#attempt, record)
    const staged = this.#expected ?? this.#ports.storage.stage(FOLDER)
    this.#expected = undefined
    await staged.write(unplaced.bytes)
    this.#staged.set(JSON.stringify(record), { ...unplaced, staged })
  }

  /** Adds a record of the own attempt. Throws SUPERSEDED when the job has another owner now. */
  async append(record: LogRecord): Promise<void> {
    assert(this.#attempt > 0, 'a record was appended before the attempt began')
    const number = this.#next
    const said = JSON.stringify(record)
    const unplaced = this.#staged.get(said) ?? this.#encode(this.#attempt, record)
    this.#staged.delete(said)
    if (!(await this.#put(number, unplaced))) throw this.#superseded(number)
    await Promise.all([this.#checkOwnership(number), this.#discardStaged()])
  }

  /** Gives up what was expected or staged and not appended. It does not fail. */
  async unstage(): Promise<void> {
    const expected = this.#expected
    this.#expected = undefined
    await Promise.allSettled([expected?.discard(), this.#discardStaged()])
  }

  async #discardStaged(): Promise<void> {
    const unused = [...this.#staged.values()].map((unplaced) => unplaced.staged)
    this.#staged.clear()
    await Promise.allSettled(unused.map((staged) => staged?.discard()))
  }

  /** Throws SUPERSEDED when the log shows another owner. Cheap: one listing. */
  async checkOwnership(): Promise<void> {
    await this.#checkOwnership(this.#next - 1)
  }

  /** Replaces old records by one `base` when they have become many. */
  async prune(): Promise<void> {
    if (this.#next - this.#oldest < RECORDS_MAX) return
    const base = this.#next
    await this.append({ kind: 'base', state: this.#history.compact() })
    for (const number of await this.#numbers()) {
      if (number < base) await this.#removeQuietly(number)
    }
    this.#oldest = base
  }

  /** What stays is below a `base` and says nothing any more; the next pruning tries again. */
  async #removeQuietly(number: number): Promise<void> {
    try {
      await this.#ports.storage.remove(this.#path(number))
    } catch (error) {
      if (!MillraceError.is(error)) throw error
    }
  }

  #encode(attempt: number, record: LogRecord): Unplaced {
    const { clock, random } = this.#ports
    const entry = { nonce: random.hex(16), attempt, at: clock.now(), record }
    return { entry, bytes: encodeLogEntry(entry) }
  }

  async #put(number: number, { entry, bytes, staged }: Unplaced): Promise<boolean> {
    const { nonce, record } = entry
    this.#unanswered.add(nonce)
    const outcome = await this.#ports.storage.putIfAbsent(this.#path(number), bytes, staged)
    // A put that was repeated below us may find its own record: that is success.
    const taken = outcome === 'exists' && (await this.#readEntry(number))?.nonce !== nonce
    this.#unanswered.delete(nonce)
    if (taken) return false
    this.#history.apply({ number, ...entry })
    this.#next = number + 1
    joint('record-linked', { number, kind: record.kind })
    return true
  }

  async #checkOwnership(own: number): Promise<void> {
    const highest = (await this.#numbers()).at(-1) ?? 0
    if (highest < own) throw damaged(this.#where(own), 'it was written by this process and is gone')
    if (highest > own && !(await this.#isOwn(highest))) throw this.#superseded(highest)
  }

  /**
   * A record beyond the end known before is the own one when it was added meanwhile, or when its writing was reported as failed
   * and had succeeded. Its attempt tells nothing: whoever slept while the log was pruned may have taken the place, and so the
   * attempt, of another.
   */
  async #isOwn(number: number): Promise<boolean> {
    const entry = await this.#readEntry(number)
    return number < this.#next || (entry !== undefined && this.#unanswered.has(entry.nonce))
  }

  #superseded(by: number): MillraceError {
    return new MillraceError(
      'SUPERSEDED',
      `attempt ${this.#attempt} of this job was superseded: another process continues it (log record ${by} in ${this.#where(by)})`,
      { next: 'This process stops without touching anything more; nothing is lost. The other process goes on.' },
    )
  }

  async #numbers(): Promise<number[]> {
    const names = await this.#ports.storage.list(FOLDER)
    return names
      .filter((name) => /^\d{10}$/.test(name))
      .map(Number)
      .sort((left, right) => left - right)
  }

  /** Undefined when another process pruned it since it was listed. */
  async #readEntry(number: number): Promise<LogEntry | undefined> {
    const bytes = await this.#ports.storage.read(this.#path(number))
    if (bytes === undefined) return undefined
    return decodeLogEntry(number, bytes, this.#where(number))
  }

  #path(number: number): string {
    return `${FOLDER}/${String(number).padStart(10, '0')}`
  }

  #where(number: number): string {
    return `${this.#ports.storage.location}/${this.#path(number)}`
  }
}
