/** Asks a running job through its control socket. */
import { connect } from 'node:net'
import { MillraceError } from '../../base/index.ts'
import { type Answer, type Ask, decodeAnswer, encodeAsk } from './control-messages.ts'

/** A process that lives answers a question about itself at once, or as soon as a busy machine lets it; one that is stopped (SIGSTOP) does not. */
const STATUS_TIMEOUT_MS = 10_000

/**
 * Undefined when nobody listens there. A wish is answered when it is carried out, however long that takes. Rejects with
 * JOB_NOT_RUNNING when the job's process ends, or stays silent, before it has answered.
 */
export function askJob(path: string, ask: Ask): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let [connected, text] = [false, '']
    if (ask === 'status') socket.setTimeout(STATUS_TIMEOUT_MS, () => socket.destroy())
    socket.once('connect', () => {
      connected = true
      socket.write(encodeAsk(ask))
    })
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    socket.on('error', () => undefined)
    socket.once('close', () => {
      const end = text.indexOf('\n')
      if (end >= 0) resolve(decodeAnswer(text.slice(0, end)))
      else if (connected) reject(silent(path, ask))
      else resolve(undefined)
    })
  })
}

function silent(path: string, ask: Ask): MillraceError {
  return new MillraceError(
    'JOB_NOT_RUNNING',
    `the process of the job ended, or stays silent, without an answer to "${ask}" (${path})`,
    {
      next: 'Its log says how it ended: millrace checkpoints JOB. Started again, it resumes from its last completed checkpoint.',
    },
  )
}
