/**
 * Lets the planned faults of a run happen when their moment has come. A fault that is about a call strikes the next one that it
 * fits; what has not struck when the last life begins never does.
 */
import type { JointName } from '../../base/index.ts'
import type { KafkaErrorName } from '../../broker/index.ts'
import type { JobClient } from '../../stream/index.ts'
import { OUTSIDE } from './event-loop.ts'
import type { FaultKind, PlannedFault } from './run-plan.ts'
import type { DiskFault } from './simulated-disk.ts'
import type { NetworkFault } from './simulated-network.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { Simulation } from './simulation.ts'

/** Faults that are in how a life is started, and strike nobody while it goes on. */
const OF_COMMANDS: readonly FaultKind[] = ['fresh-start', 'moves-house']

/** How a process calls its storage for a record of the log. */
const TO_THE_LOG = 'put log/'

export class FaultStriker {
  #functionFails = false
  readonly #simulation: Simulation
  readonly #topics: readonly string[]
  readonly #clientOf: (process: SimulatedProcess) => JobClient | undefined
  readonly #waiting: Set<PlannedFault>
  readonly #passings: Map<string, number> = new Map()
  readonly #sleepTold: Map<SimulatedProcess, () => void> = new Map()
  readonly #networkFaults: { readonly process: SimulatedProcess; readonly fault: NetworkFault; left: number }[] = []
  readonly #diskFaults: { readonly process: SimulatedProcess; readonly fault: DiskFault; left: number }[] = []
  readonly #nodesDown: Set<number> = new Set()
  /** What damage took away, for the person who restores it from a copy. */
  readonly #copies: Map<string, Buffer> = new Map()

  constructor(
    simulation: Simulation,
    topics: readonly string[],
    clientOf: (process: SimulatedProcess) => JobClient | undefined,
  ) {
    this.#simulation = simulation
    this.#topics = topics
    this.#clientOf = clientOf
    this.#waiting = new Set(simulation.plan.faults.filter(({ kind }) => !OF_COMMANDS.includes(kind)))
    simulation.network.fault = (process) => take(this.#networkFaults, process)
    simulation.disk.fault = (process) => take(this.#diskFaults, process)
  }

  /** The faults whose moment is this call. */
  atCall(process: SimulatedProcess, what: string): PlannedFault[] {
    const due: PlannedFault[] = []
    const records = what.startsWith(TO_THE_LOG) ? this.#count(`${process.life} records`) : 0
    for (const fault of this.#waiting) {
      const { moment, life } = fault
      if (moment.kind === 'joint' || life !== process.life) continue
      if (moment.kind === 'call' ? process.calls >= moment.nth : records === moment.nth) due.push(fault)
    }
    for (const fault of due) this.#waiting.delete(fault)
    return due
  }

  atJoint(process: SimulatedProcess, joint: JointName): PlannedFault[] {
    const own = this.#count(`${process.life} ${joint}`)
    const all = this.#count(joint)
    const due: PlannedFault[] = []
    for (const fault of this.#waiting) {
      const { moment, life } = fault
      if (moment.kind !== 'joint' || moment.joint !== joint) continue
      if (life === 0 ? moment.nth <= all : life === process.life && moment.nth === own) due.push(fault)
    }
    for (const fault of due) this.#waiting.delete(fault)
    return due
  }

  takeFunctionFailure(): boolean {
    const fails = this.#functionFails
    this.#functionFails = false
    return fails
  }

  startsFresh(life: number): boolean {
    return this.#simulation.plan.faults.some((fault) => fault.kind === 'fresh-start' && fault.life === life && life > 1)
  }

  onSleep(process: SimulatedProcess, told: () => void): void {
    this.#sleepTold.set(process, told)
  }

  /** Nothing goes wrong any more, except what counts over all lives. */
  heal(): void {
    const { broker } = this.#simulation
    for (const fault of [...this.#waiting]) if (fault.life !== 0) this.#waiting.delete(fault)
    this.#networkFaults.length = 0
    this.#diskFaults.length = 0
    this.#functionFails = false
    broker.faults.clear()
    for (const node of this.#nodesDown) broker.startNode(node)
    this.#nodesDown.clear()
  }

  copyOf(path: string): Buffer | undefined {
    return this.#copies.get(path)
  }

  /** What was damaged is there again, as it was. */
  repair(): boolean {
    const damaged = this.#copies.size > 0
    for (const [path, bytes] of this.#copies) this.#simulation.disk.objects.set(path, bytes)
    this.#copies.clear()
    return damaged
  }

  /** False when there was nothing to strike. */
  strike(fault: PlannedFault, process: SimulatedProcess): boolean {
    return (
      this.#strikeProcess(fault, process) ?? this.#strikeCalls(fault, process) ?? this.#strikeCluster(fault) ?? false
    )
  }

  #strikeProcess({ kind, detail }: PlannedFault, process: SimulatedProcess): boolean | undefined {
    const { loop } = this.#simulation
    switch (kind) {
      case 'crash':
        process.die()
        return true
      case 'sleep': {
        const told = this.#sleepTold.get(process)
        if (told === undefined) return false
        this.#sleepTold.delete(process)
        process.fallAsleep()
        told()
        loop.after(Number(detail.ms), OUTSIDE, 'a process wakes', () => process.wake())
        return true
      }
      case 'stop':
      case 'cancel': {
        const client = this.#clientOf(process)
        if (client === undefined) return false
        loop.after(0, process, `${kind} by a person`, () => {
          const asked = kind === 'stop' ? client.stop() : client.cancel()
          asked.catch(() => undefined)
        })
        return true
      }
      case 'function-fails':
        this.#functionFails = true
        return true
      case 'damaged-record':
        process.die()
        return this.#damage(this.#lastRecord(process.directory))
      case 'damaged-checkpoint':
        process.die()
        return this.#damage(this.#lastCheckpoint(process.directory, String(detail.part)))
      default:
        return undefined
    }
  }

  #strikeCalls({ kind, detail }: PlannedFault, process: SimulatedProcess): boolean | undefined {
    const network = (fault: NetworkFault, left = 1): boolean => this.#networkFaults.push({ process, fault, left }) > 0
    const disk = (fault: DiskFault): boolean =>
      this.#diskFaults.push({ process, fault, left: Number(detail.calls) }) > 0
    switch (kind) {
      case 'connection-cut':
        return network({ kind: 'cut' })
      case 'connection-silent':
        return network({ kind: 'black-hole' })
      case 'slow-network':
        return network({ kind: 'slow', extraMs: Number(detail.ms) }, Number(detail.writes))
      case 'storage-fails':
        return disk({ fails: detail.when === 'before' ? 'before' : 'after' })
      case 'slow-storage':
        return disk({ extraMs: Number(detail.ms) })
      default:
        return undefined
    }
  }

  #strikeCluster({ kind, detail }: PlannedFault): boolean | undefined {
    const { broker, loop } = this.#simulation
    const api = String(detail.api)
    switch (kind) {
      case 'node-down': {
        const node = ((Number(detail.node) - 1) % broker.nodes.length) + 1
        if (this.#nodesDown.has(node)) return false
        this.#nodesDown.add(node)
        broker.stopNode(node)
        loop.after(Number(detail.ms), OUTSIDE, 'a node comes back', () => {
          if (this.#nodesDown.delete(node)) broker.startNode(node)
        })
        return true
      }
      case 'connections-dropped':
        broker.dropConnections(((Number(detail.node) - 1) % broker.nodes.length) + 1)
        return true
      case 'leader-moves':
        return this.#moveLeader(Number(detail.topic), Number(detail.partition))
      case 'error-answer':
        broker.faults.fail({ api, error: String(detail.error) as KafkaErrorName, times: Number(detail.times) })
        return true
      case 'request-lost':
      case 'answer-lost':
        broker.faults.drop({ api, when: kind === 'request-lost' ? 'before' : 'after' })
        return true
      case 'slow-answer':
        broker.faults.delay({ api, ms: Number(detail.ms) })
        return true
      case 'throttled':
        broker.faults.throttle({ api, throttleTimeMs: Number(detail.ms) })
        return true
      case 'transaction-expires':
        return this.#expire(Number(detail.which))
      case 'transaction-version':
        broker.setTransactionVersion(this.#simulation.plan.transactionVersion === 2 ? 1 : 2)
        return true
      default:
        return undefined
    }
  }

  #moveLeader(topicNumber: number, partitionNumber: number): boolean {
    const { broker } = this.#simulation
    const topic = this.#topics[topicNumber % this.#topics.length]
    if (topic === undefined || broker.nodes.length - this.#nodesDown.size < 2) return false
    broker.moveLeader(topic, partitionNumber % broker.partitionsOf(topic))
    return true
  }

  #expire(which: number): boolean {
    const { broker } = this.#simulation
    const open = broker.transactions().filter(({ state }) => state === 'Ongoing')
    const chosen =
      which < 0 ? open : open.slice(which % Math.max(1, open.length), (which % Math.max(1, open.length)) + 1)
    for (const { transactionalId } of chosen) broker.expireTransaction(transactionalId)
    return chosen.length > 0
  }

  /** Half of it is gone. */
  #damage(path: string | undefined): boolean {
    const { objects } = this.#simulation.disk
    const whole = path === undefined ? undefined : objects.get(path)
    if (path === undefined || whole === undefined) return false
    if (!this.#copies.has(path)) this.#copies.set(path, whole)
    objects.set(path, whole.subarray(0, whole.length >> 1))
    return true
  }

  #lastRecord(directory: string): string | undefined {
    const last = this.#simulation.disk.list(`${directory}/log`).at(-1)
    return last === undefined ? undefined : `${directory}/log/${last}`
  }

  /** Where the directory has none yet: the one that the command begins at. */
  #lastCheckpoint(directory: string, part: string): string | undefined {
    const { disk, savepoint } = this.#simulation
    const numbered = disk
      .list(directory)
      .flatMap((name) => {
        const match = /^chk-(\d+)-/.exec(name)
        return match === null ? [] : [{ name, number: Number(match[1]) }]
      })
      .sort((left, right) => left.number - right.number)
    const last = numbered.at(-1)
    const folder = last === undefined ? savepoint : `${directory}/${last.name}`
    return folder === undefined ? undefined : `${folder}/${part}`
  }

  #count(what: string): number {
    const passings = (this.#passings.get(what) ?? 0) + 1
    this.#passings.set(what, passings)
    return passings
  }
}

/** The oldest fault for this process; used up after as many calls as it has left. */
function take<Fault>(
  planned: { readonly process: SimulatedProcess; readonly fault: Fault; left: number }[],
  process: SimulatedProcess,
): Fault | undefined {
  if (planned.length === 0) return undefined
  const at = planned.findIndex((one) => one.process === process)
  const found = planned[at]
  if (found === undefined) return undefined
  if (--found.left <= 0) planned.splice(at, 1)
  return found.fault
}
