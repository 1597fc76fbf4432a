// Runs a short command to its end, with a bound, and says clearly why it could not.

import { spawn } from 'node:child_process'
import { KafkaServerError, lastLines } from './kafka-server-error.ts'

export interface CommandInput {
  readonly command: string
  readonly args: readonly string[]
  /** What the command is for, as a sentence that begins the error message. */
  readonly purpose: string
  /** What to do when it is missing or fails. */
  readonly advice: string
  readonly timeoutMs: number
}

const OUTPUT_CHARACTERS_MAX = 1_000_000

/** Resolves with everything the command printed; rejects when it is missing, fails, or takes too long. */
export function runCommand(input: CommandInput): Promise<string> {
  const line = [input.command, ...input.args.map((arg) => (arg.length > 200 ? `${arg.slice(0, 200)}…` : arg))].join(' ')
  return new Promise((resolve, reject) => {
    const child = spawn(input.command, input.args, { stdio: ['pipe', 'pipe', 'pipe'] })
    let output = ''
    let late = false
    const deadline = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, input.timeoutMs)
    const fail = (what: string, cause?: unknown): void => {
      clearTimeout(deadline)
      const printed = output.trim() === '' ? '' : `\n  its last output lines:\n${lastLines(output)}`
      const message = `${input.purpose}: ${what}: ${line}${printed}\n  ${input.advice}`
      reject(new KafkaServerError('NOT_SUPPORTED', message, { cause }))
    }
    const take = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARACTERS_MAX)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', (error) => fail('the command cannot be started', error))
    child.on('close', (code, signal) => {
      clearTimeout(deadline)
      if (code === 0) resolve(output)
      else if (late) fail(`the command did not end within ${input.timeoutMs / 1000} s`)
      else fail(`the command ended with ${signal ?? `code ${code}`}`)
    })
  })
}
