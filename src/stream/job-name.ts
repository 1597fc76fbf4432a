/**
 * A job's name is its identity: the folder of its checkpoints and log bears it. So it must be usable as one folder name
 * everywhere, and two names that a file system may take for one are no concern of ours beyond that.
 */
import { MillraceError } from '../base/index.ts'

const LENGTH_MAX = 100

/** Answers the name, or throws GRAPH_INVALID saying what is wrong with it. */
export function checkJobName(name: string): string {
  const wrong = whatIsWrong(name)
  if (wrong === undefined) return name
  throw new MillraceError(
    'GRAPH_INVALID',
    `the job name ${JSON.stringify(name)} ${wrong}; it names the folder of the job's checkpoints`,
  )
}

function whatIsWrong(name: unknown): string | undefined {
  if (typeof name !== 'string' || name === '') return 'must be a text that is not empty'
  if (name.length > LENGTH_MAX) return `is longer than ${LENGTH_MAX} characters`
  if (name.startsWith('.') || name.endsWith('.')) return 'must neither begin nor end with a dot'
  if (name.trim() !== name) return 'must neither begin nor end with a blank'
  const forbidden = [...name].find((character) => '/\\:*?"<>|'.includes(character) || character < ' ')
  return forbidden === undefined ? undefined : `must not contain ${JSON.stringify(forbidden)}`
}
