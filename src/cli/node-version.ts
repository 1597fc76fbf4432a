/**
 * Says whether this Node can run millrace: the range that package.json gives to installers, which only warn. Without it an older
 * Node fails at whatever it lacks first, in words that help nobody.
 */
import { MillraceError } from '../base/index.ts'

/** The least minor version of each long-term line; from the last major version on, all. */
const LINES: readonly (readonly [major: number, minor: number])[] = [
  [22, 22],
  [24, 11],
]
const ALL_FROM_MAJOR = 26

/** As in package.json. */
export const ENGINES: string = [
  ...LINES.map(([major, minor]) => `^${major}.${minor}.0`),
  `>=${ALL_FROM_MAJOR}.0.0`,
].join(' || ')

export function refuseUnsupportedNode(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major >= ALL_FROM_MAJOR || LINES.some((line) => line[0] === major && minor >= line[1])) return
  const wanted = LINES.map(([one, least]) => `${one}.${least}`).join(', ')
  throw new MillraceError(
    'NOT_SUPPORTED',
    `millrace runs on Node ${wanted}, ${ALL_FROM_MAJOR} or later; this is Node ${version} (${process.execPath})`,
    { next: 'Nothing ran. Install one of these, for instance from https://nodejs.org.' },
  )
}
