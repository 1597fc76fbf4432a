/**
 * All consumer groups. A group comes into being when somebody joins it or commits offsets for it, and is listed until it is
 * deleted; offsets do not expire here.
 */
import type { Clock, Random } from '../../base/index.ts'
import type { BrokerSettings } from '../broker-settings.ts'
import { ClassicGroup } from './classic-group.ts'

export interface GroupCoordinatorInput {
  readonly clock: Clock
  readonly random: Random
  readonly settings: BrokerSettings
}

export class GroupCoordinator {
  readonly groups: Map<string, ClassicGroup> = new Map()
  readonly #input: GroupCoordinatorInput

  constructor(input: GroupCoordinatorInput) {
    this.#input = input
  }

  get(groupId: string): ClassicGroup | undefined {
    return this.groups.get(groupId)
  }

  /** Undefined when there are as many as may be. */
  getOrCreate(groupId: string): ClassicGroup | undefined {
    const known = this.groups.get(groupId)
    if (known !== undefined) return known
    const { clock, random, settings } = this.#input
    if (this.groups.size >= settings.coordinatedMax) return undefined
    const newId = (): string => random.hex(16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    const initialDelayMs = settings.groupInitialRebalanceDelayMs
    const group = new ClassicGroup({ groupId, clock, initialDelayMs, newId })
    this.groups.set(groupId, group)
    return group
  }

  delete(group: ClassicGroup): void {
    group.close()
    this.groups.delete(group.groupId)
  }

  endTransaction(groupId: string, producerId: number, commit: boolean): void {
    this.groups.get(groupId)?.offsets.endTransaction(producerId, commit)
  }

  forgetTopic(topic: string): void {
    for (const group of this.groups.values()) group.offsets.forgetTopic(topic)
  }

  close(): void {
    for (const group of this.groups.values()) group.close()
  }
}
