export type { BrokerSettings } from './broker-settings.ts'
export {
  type BrokerListener,
  EmbeddedBroker,
  type EmbeddedBrokerOptions,
  type EmbeddedTopicOptions,
  type EmbeddedTransaction,
  type ListenOptions,
} from './embedded-broker.ts'
export {
  type DelayFault,
  type DropFault,
  type ErrorFault,
  FaultPlan,
  type FaultTarget,
  type KafkaErrorName,
  type ThrottleFault,
} from './fault/fault-plan.ts'
