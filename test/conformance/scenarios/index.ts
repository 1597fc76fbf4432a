/** All scenarios, in the order they are acted out. */
import type { Scenario } from '../scenario.ts'
import { asking } from './asking.ts'
import { reading } from './reading.ts'
import { transactions } from './transactions.ts'
import { writing } from './writing.ts'

export const SCENARIOS: readonly Scenario[] = [...writing, ...reading, ...transactions, ...asking]
