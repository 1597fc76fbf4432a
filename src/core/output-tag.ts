/**
 * The name of a side output together with the type of its elements (Flink: OutputTag). Two tags of one id are the same tag, so
 * a job file that is imported by several threads needs to share nothing but the id.
 */
import { MillraceError } from '../base/index.ts'

export class OutputTag<T> {
  readonly id: string
  /** Makes tags of different elements different types. */
  declare protected readonly element: T

  constructor(id: string) {
    if (typeof id !== 'string' || id === '') {
      throw new MillraceError('OPTION_INVALID', 'OutputTag: its id must be a text that is not empty')
    }
    this.id = id
  }
}
