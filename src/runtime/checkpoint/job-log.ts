/**
 * The log of a job: numbered records, each created by a conditional put, so that of two processes that believe to own the
 * job exactly one gets a number. After creating a record the log is listed: a higher number, or a `base` at or above the
 * own one, means that this process was superseded (rule 9), and nothing may follow. An unreadable record stops the job.
 */
import { assert, type Clock, joint, MillraceError, type Random, type Storage } from '../../base/index.ts'
import { JobHistory } from './job-history.ts'
import { damaged, decodeLogEntry, encodeLogEntry, type LogEntry, type LogRecord } from './job-log-record.ts'

const FOLDER = 'log'
/** Records kept behind a `base` before the log is pruned again. */
const RECORDS_MAX = 200

export interface JobLogPorts {
  readonly storage: Storage
  readonly clock: Clock
  readonly random: Random
}

export class JobLog {
  readonly #ports: JobLogPorts
  #history = new JobHistory()
  #next = 1
  #oldest = 1
  #attempt = 0

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

  /** Reads the whole log. Throws LOG_DAMAGED. */
  async read(): Promise<JobHistory> {
    const numbers = await this.#numbers()
    let entries: LogEntry[] = []
    for (const number of numbers) {
      const entry = await this.#readEntry(number)
      // Records below a `base` may be half pruned: the base says all that they said.
      if (entry.record.kind === 'base') entries = []
      entries.push(entry)
    }
    for (let i = 1; i < entries.length; i++) {
      const number = entries[i]?.number ?? 0
      if (number !== (entries[i - 1]?.number ?? 0) + 1) {
        throw damaged(this.#where(number - 1), 'this record is missing between others')
      }
    }
    const first = entries[0]
    if (first !== undefined && first.number !== 1 && first.record.kind !== 'base') {
      throw damaged(this.#where(first.number - 1), 'the records before the first one are missing')
    }
    this.#history = JobHistory.of(entries)
    this.#oldest = numbers[0] ?? 1
    this.#next = (numbers.at(-1) ?? 0) + 1
    return this.#history
  }

  /**
   * Takes the next place with an `attempt` record. When another process took it first, answers undefined: read again, and
   * choose the restore point again, before trying again (rule 7).
   */
  async begin(record: LogRecord & { kind: 'attempt' }): Promise<number | undefined> {
    const number = this.#next
    this.#attempt = number
    if (!(await this.#put(number, record))) return undefined
    await this.#checkOwnership(number)
    joint('attempt-written', { attempt: number })
    return number
  }

  /** Adds a record of the own attempt. Throws SUPERSEDED when the job has another owner now. */
  async append(record: LogRecord): Promise<void> {
    assert(this.#attempt > 0, 'a record was appended before the attempt began')
    const number = this.#next
    if (!(await this.#put(number, record))) throw this.#superseded(number)
    await this.#checkOwnership(number)
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
      if (number < base) await this.#ports.storage.remove(this.#path(number))
    }
    this.#oldest = base
  }

  async #put(number: number, record: LogRecord): Promise<boolean> {
    const { storage, clock, random } = this.#ports
    const at = clock.now()
    const nonce = random.hex(16)
    const outcome = await storage.putIfAbsent(
      this.#path(number),
      encodeLogEntry({ nonce, attempt: this.#attempt, at, record }),
    )
    // A put that was repeated below us may find its own record: that is success.
    if (outcome === 'exists' && (await this.#readEntry(number)).nonce !== nonce) return false
    this.#history.apply({ number, attempt: this.#attempt, at, record })
    this.#next = number + 1
    joint('record-linked', { number, kind: record.kind })
    return true
  }

  async #checkOwnership(own: number): Promise<void> {
    const highest = (await this.#numbers()).at(-1) ?? 0
    // A record of the own attempt beyond the known end is one whose writing was reported as failed and had succeeded.
    if (highest > own && (await this.#readEntry(highest)).attempt !== this.#attempt) throw this.#superseded(highest)
    if (highest < own) throw damaged(this.#where(own), 'it was written by this process and is gone')
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

  async #readEntry(number: number): Promise<LogEntry> {
    const bytes = await this.#ports.storage.read(this.#path(number))
    if (bytes === undefined) throw damaged(this.#where(number), 'it was listed and cannot be found')
    return decodeLogEntry(number, bytes, this.#where(number))
  }

  #path(number: number): string {
    return `${FOLDER}/${String(number).padStart(10, '0')}`
  }

  #where(number: number): string {
    return `${this.#ports.storage.location}/${this.#path(number)}`
  }
}
