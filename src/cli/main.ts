#!/usr/bin/env node
/**
 * The `millrace` command. Exit codes: 0 finished or stopped, 1 the job failed, 2 wrong usage or configuration. What goes
 * wrong is told on standard error as one message for a person, never as a bare stack trace.
 */
import { readFileSync } from 'node:fs'
import { MillraceError } from '../base/index.ts'
import { parseCommandLine } from './arguments.ts'
import { keepCompiledCode } from './compile-cache.ts'
import { exitCodeOf, textOfError } from './error-text.ts'
import { refuseUnsupportedNode } from './node-version.ts'
import { USAGE } from './usage.ts'

async function main(args: readonly string[]): Promise<number> {
  const command = parseCommandLine(args)
  if (command.kind !== 'help' && command.kind !== 'version') refuseUnsupportedNode()
  // Each loads only what it needs: it is the loading that one waits for.
  switch (command.kind) {
    case 'help':
      process.stdout.write(USAGE)
      return 0
    case 'version':
      process.stdout.write(`${version()}\n`)
      return 0
    case 'run':
      if (command.supervise) return await (await import('./supervise.ts')).supervise(command, args)
      return await (await import('./run-command.ts')).runCommand(command)
    case 'list':
      return await (await import('./job-commands.ts')).listCommand(command)
    case 'stop':
    case 'cancel':
      return await (await import('./job-commands.ts')).endCommand(command)
    case 'checkpoints':
      return await (await import('./job-commands.ts')).checkpointsCommand(command)
    case 'savepoint':
      return (await import('./job-commands.ts')).savepointCommand(command)
    case 'inspect':
      return await (await import('./inspect-command.ts')).inspectCommand(command.path)
    case 'info':
      return await (await import('./info-command.ts')).infoCommand(command)
    case 'broker':
      return await (await import('./broker-command.ts')).brokerCommand(command)
    case 'demo':
      return await (await import('./demo/demo-command.ts')).demoCommand(command)
  }
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version)
  throw new MillraceError('USAGE', 'the package has no version')
}

function fail(error: unknown): never {
  process.stderr.write(textOfError(error))
  // A worker thread that is stuck in native code would hold up any other exit.
  if (MillraceError.is(error) && error.code === 'TASKS_LINGER') process.kill(process.pid, 'SIGKILL')
  process.exit(exitCodeOf(error))
}

keepCompiledCode()
process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)
main(process.argv.slice(2)).then((code) => process.exit(code), fail)
