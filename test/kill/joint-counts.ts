/** How often a process was killed at each joint, and the report of it at the end of a run. None may be 0. */
import assert from 'node:assert/strict'
import type { JointName } from '../../src/base/index.ts'

export class JointCounts {
  readonly #counts = new Map<string, number>()

  hit(joint: JointName | 'random'): void {
    this.#counts.set(joint, this.of(joint) + 1)
  }

  of(joint: JointName | 'random'): number {
    return this.#counts.get(joint) ?? 0
  }

  lines(joints: readonly (JointName | 'random')[]): string[] {
    return joints.map((joint) => `${joint.padEnd(24)} ${this.of(joint)}`)
  }

  assertAtLeast(joints: readonly (JointName | 'random')[], least: number): void {
    for (const joint of joints) {
      assert(
        this.of(joint) >= least,
        `${joint} was hit ${this.of(joint)} times, not ${least}: the test does not test it`,
      )
    }
  }
}
