/**
 * What the handlers of requests work on: one object that is passed to each group of them, so that the state of the broker is
 * in one place and nothing of it is global.
 */
import type { Clock, Logger, Random } from '../../base/index.ts'
import type { BrokerSettings } from '../broker-settings.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Features } from '../cluster/features.ts'
import type { FaultPlan } from '../fault/fault-plan.ts'
import type { GroupCoordinator } from '../group/group-coordinator.ts'
import type { TransactionCoordinator } from '../transaction/transaction-coordinator.ts'

export interface BrokerCore {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly settings: BrokerSettings
  readonly cluster: Cluster
  readonly features: Features
  readonly faults: FaultPlan
  readonly transactions: TransactionCoordinator
  readonly groups: GroupCoordinator
}
