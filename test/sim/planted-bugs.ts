/**
 * Bugs that the simulator must find, each planted from outside: around a contract that the engine is given (sink, source, ledger,
 * writer, producer, gateway, storage) or at the edge of the client (answers on the wire). The shipped code has no branch for any
 * of them. `rule` is the rule of exactly-once that the bug breaks.
 */
import type { Storage } from '../../src/base/index.ts'
import type { Sink, Source } from '../../src/core/index.ts'
import type { KafkaCommittable } from '../../src/sink/committer/kafka-committable.ts'
import type { KafkaSink } from '../../src/sink/index.ts'
import type { SinkConnector } from '../../src/sink/sink-connector.ts'
import type { KafkaSource } from '../../src/source/index.ts'
import type { Simulation } from '../../src/testing/simulation/simulation.ts'
import type { Element } from './copy-job.ts'
import { MOVE_BUGS } from './planted-in-moves.ts'
import { PRODUCER_BUGS } from './planted-in-producer.ts'
import { SINK_BUGS } from './planted-in-sink.ts'
import { SOURCE_BUGS } from './planted-in-source.ts'
import { LOG_BUGS } from './planted-in-storage.ts'
import type { AnswerChange } from './wire.ts'

export interface PlantedBug {
  readonly name: string
  readonly rule: number
  /** Where it is planted. */
  readonly how: string
  readonly sink?: (sink: KafkaSink<Element>, simulation: Simulation) => Sink<Element, KafkaCommittable>
  readonly source?: (
    source: KafkaSource<Element>,
    simulation: Simulation,
  ) => Source<Element, KafkaSplit, KafkaEnumeratorState>
  readonly connector?: (connector: SinkConnector, simulation: Simulation) => SinkConnector
  /** Made anew for each process. */
  readonly storage?: (storage: Storage, simulation: Simulation) => Storage
  /** The same for a folder outside of the job's own directory, by its path. */
  readonly elsewhere?: (storage: Storage, path: string, simulation: Simulation) => Storage
  /** Where an object comes to lie, when the bug puts it elsewhere. */
  readonly pathOf?: (path: string) => string
  readonly answers?: AnswerChange
  readonly configuration?: Readonly<Record<string, string>>
}

type KafkaSplit = KafkaSource<Element> extends Source<Element, infer Split, infer _State> ? Split : never
type KafkaEnumeratorState = KafkaSource<Element> extends Source<Element, infer _Split, infer State> ? State : never

export const PLANTED_BUGS: readonly PlantedBug[] = [
  ...SINK_BUGS,
  ...PRODUCER_BUGS,
  ...SOURCE_BUGS,
  ...LOG_BUGS,
  ...MOVE_BUGS,
]
