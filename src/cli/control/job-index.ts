/**
 * Which jobs run on this machine, wherever their directories lie: a file for each in a folder of the user's own. It is a hint
 * only: whoever reads it asks the job's socket, and removes the entry when nobody answers.
 */
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface IndexEntry {
  readonly job: string
  readonly directory: string
}

/** VERSION_1: JSON `{"v":1,"job":…,"directory":…}`. */
const VERSION_1 = 1

export class JobIndex {
  readonly #folder: string

  /** The folder that the system gives to the user's processes, else one for the user among the temporary files. */
  constructor(environment: NodeJS.ProcessEnv = process.env) {
    const own = environment.XDG_RUNTIME_DIR
    const user = process.getuid?.() ?? 0
    this.#folder = own === undefined || own === '' ? join(tmpdir(), `millrace-${user}`) : join(own, 'millrace')
  }

  /** That an entry cannot be made is no failure of the job: it is found through its directory then. */
  add(entry: IndexEntry): void {
    // Those of killed processes whose directories are gone since.
    for (const { directory } of this.entries()) if (!existsSync(directory)) this.remove(directory)
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
      if (this.#isOwn()) writeFileSync(this.#path(entry.directory), JSON.stringify({ v: VERSION_1, ...entry }))
    } catch {
      // A full or read-only disk.
    }
  }

  remove(directory: string): void {
    try {
      rmSync(this.#path(directory), { force: true })
      // With the last entry the folder goes too.
      rmdirSync(this.#folder)
    } catch {
      // It is not there, or other jobs are in it.
    }
  }

  entries(): IndexEntry[] {
    if (!this.#isOwn()) return []
    return readdirSync(this.#folder)
      .filter((name) => name.endsWith('.json'))
      .sort()
      .flatMap((name) => readEntry(join(this.#folder, name)) ?? [])
  }

  /** Among temporary files anybody could have made it: then it says nothing. */
  #isOwn(): boolean {
    try {
      const { uid } = lstatSync(this.#folder)
      return process.getuid === undefined || uid === process.getuid()
    } catch {
      return false
    }
  }

  #path(directory: string): string {
    return join(this.#folder, `${createHash('sha256').update(directory).digest('hex').slice(0, 24)}.json`)
  }
}

function readEntry(path: string): IndexEntry | undefined {
  try {
    const { v, job, directory } = JSON.parse(readFileSync(path, 'utf8'))
    return v === VERSION_1 && typeof job === 'string' && typeof directory === 'string' ? { job, directory } : undefined
  } catch {
    return undefined
  }
}
