/**
 * Runs the tests on Node's own runner, all chosen files in one run, so that its summary is the last thing printed.
 *
 *     node scripts/test.ts all     what CI runs: unit tests, short fuzz runs, simulator, threads, processes, and the tests against real Kafka
 *     node scripts/test.ts unit    what needs neither brokers nor patience, short fuzz runs included; green in under a minute
 *     node scripts/test.ts long    everything again, with MILLRACE_LONG=1 for the tests that then go deeper
 *     ... [PATH or NAME]...        only files whose path contains one of these
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT: string = fileURLToPath(new URL('..', import.meta.url))
/** By suffix: pure and quick; seeded; simulator, model, threads, processes and whole jobs in this process; real brokers. */
const ALL: readonly string[] = ['test', 'fuzz', 'sim-test', 'kafka-test']
const KINDS: Readonly<Record<string, readonly string[]>> = { unit: ['test', 'fuzz'], all: ALL, long: ALL }
/** What takes longer hangs: a test, or a suite with all that is in it. It must not end what is merely slow on a busy machine. */
const TIMEOUT_MS = { normal: 900_000, long: 1_800_000 }

const [mode = 'all', ...only] = process.argv.slice(2)
const kinds = KINDS[mode]
if (kinds === undefined) {
  process.stderr.write(`usage: node scripts/test.ts ${Object.keys(KINDS).join('|')} [path or name]...\n`)
  process.exit(2)
}

const files: string[] = kinds
  .flatMap((kind) => globSync(`{src,test,examples}/**/*.${kind}.ts`, { cwd: ROOT }))
  .filter((path) => only.length === 0 || only.some((part) => path.includes(part)))
  .sort()
if (files.length === 0) {
  process.stderr.write('no test file matches\n')
  process.exit(1)
}

const long: boolean = mode === 'long'
/** Each file is a process of its own, and most of them load the same sources. */
const compileCache: string = join(ROOT, '.cache/compile')
const runner = spawn(
  process.execPath,
  [
    '--conditions=millrace-source',
    '--test',
    '--test-concurrency=2',
    `--test-timeout=${long ? TIMEOUT_MS.long : TIMEOUT_MS.normal}`,
    '--test-reporter=spec',
    ...files,
  ],
  {
    cwd: ROOT,
    stdio: 'inherit',
    env: { NODE_COMPILE_CACHE: compileCache, ...process.env, ...(long ? { MILLRACE_LONG: '1' } : {}) },
  },
)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal))
runner.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 130)))
