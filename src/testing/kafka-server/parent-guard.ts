// Ends what a test process has started when that process is gone, even by SIGKILL.
//
// Why a process of its own: each JVM already ends when its standard input does, but a node that a test has stopped with
// SIGSTOP cannot notice anything, and somebody must remove the folder. The guard is a shell that waits for the end of
// its input, whose other end only the test process holds. What always holds: it kills only process ids that are
// entered in the folder, and an id is taken out as soon as its process was seen to end.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const SCRIPT = `
trap '' INT TERM HUP
while read -r line; do :; done
for file in "$1"/pids/*; do
  [ -f "$file" ] && kill -9 "\${file##*/}" 2>/dev/null
done
attempt=0
while [ $attempt -lt 300 ]; do
  rm -rf "$1" 2>/dev/null
  [ -e "$1" ] || exit 0
  attempt=$((attempt + 1))
  sleep 0.2
done
`

export class ParentGuard {
  readonly #directory: string
  readonly #process: ChildProcess

  /** Watches over `directory`, which is removed together with all processes entered when this process ends. */
  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(join(directory, 'pids'), { recursive: true })
    // A session of its own, so that an interrupt typed at a terminal does not end the guard before its time.
    this.#process = spawn('/bin/sh', ['-c', SCRIPT, 'kafka-server-guard', directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
    })
    this.#process.on('error', () => {})
    this.#process.stdin?.on('error', () => {})
    unrefProcess(this.#process)
  }

  enter(pid: number): void {
    writeFileSync(join(this.#directory, 'pids', String(pid)), '')
  }

  takeOut(pid: number): void {
    rmSync(join(this.#directory, 'pids', String(pid)), { force: true })
  }

  /** Removes the folder and ends the guard; all processes entered must have ended. */
  close(): void {
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    this.#process.stdin?.end()
  }
}

/** Lets this process end by itself while the child and its pipes are still there: the guard clears up then. */
export function unrefProcess(child: ChildProcess): void {
  child.unref()
  for (const pipe of [child.stdin, child.stdout]) {
    if (pipe !== null && 'unref' in pipe && typeof pipe.unref === 'function') pipe.unref()
  }
}
