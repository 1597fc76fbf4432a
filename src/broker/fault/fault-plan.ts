/**
 * Faults that were asked for: errors in answers, lost connections, delays. Each rule says which requests it is for and how
 * often it strikes; the oldest that fits strikes. With none planned a look here costs a comparison.
 */
import { assert } from '../../base/index.ts'
import { KafkaErrorCode } from '../../kafka/index.ts'

export type KafkaErrorName = keyof typeof KafkaErrorCode

/** Which requests; what is absent fits all. */
export interface FaultTarget {
  /** Kafka's name of the API, for instance `Produce` or `EndTxn`. */
  readonly api?: string
  readonly node?: number
  readonly clientId?: string
  /** Default 1; Infinity until `clear`. */
  readonly times?: number
}

export interface ErrorFault extends FaultTarget {
  readonly api: string
  readonly error: KafkaErrorName
  /** For APIs that answer for each topic or partition. */
  readonly topic?: string
  readonly partition?: number
}

export interface DropFault extends FaultTarget {
  /** Before the request has its effect, or after, so that only the answer is lost. */
  readonly when: 'before' | 'after'
}

export interface DelayFault extends FaultTarget {
  readonly ms: number
}

export interface ThrottleFault extends FaultTarget {
  /** The answer says that the client is over its quota and shall be silent for so long. */
  readonly throttleTimeMs: number
}

type Rule =
  | ({ readonly kind: 'error' } & ErrorFault)
  | ({ readonly kind: 'drop' } & DropFault)
  | ({ readonly kind: 'delay' } & DelayFault)
  | ({ readonly kind: 'throttle' } & ThrottleFault)

/** What a fault is matched with. */
export interface FaultScene {
  readonly api: string
  readonly node: number
  readonly clientId: string
}

export class FaultPlan {
  #rules: { readonly rule: Rule; left: number }[] = []

  /** The next answers of this API, or its parts for this topic and partition, carry the error and have no effect. */
  fail(fault: ErrorFault): void {
    assert(KafkaErrorCode[fault.error] !== undefined, `Kafka has no error ${fault.error}`)
    this.#add({ kind: 'error', ...fault })
  }

  /** The connections of the next requests are closed. */
  drop(fault: DropFault): void {
    this.#add({ kind: 'drop', ...fault })
  }

  /** The next answers leave later. */
  delay(fault: DelayFault): void {
    this.#add({ kind: 'delay', ...fault })
  }

  throttle(fault: ThrottleFault): void {
    this.#add({ kind: 'throttle', ...fault })
  }

  /** Takes back what has not struck yet. */
  clear(): void {
    this.#rules = []
  }

  /** How many rules wait. */
  get pending(): number {
    return this.#rules.length
  }

  /** The code of an error to answer with; 0 for none. */
  errorFor(scene: FaultScene, topic?: string, partition?: number): number {
    if (this.#rules.length === 0) return KafkaErrorCode.NONE
    const fits = (rule: ErrorFault): boolean =>
      (rule.topic === undefined || rule.topic === topic) &&
      (rule.partition === undefined || rule.partition === partition)
    const rule = this.#take('error', scene, fits)
    return rule === undefined ? KafkaErrorCode.NONE : KafkaErrorCode[rule.error]
  }

  drops(scene: FaultScene, when: 'before' | 'after'): boolean {
    return this.#rules.length > 0 && this.#take('drop', scene, (rule) => rule.when === when) !== undefined
  }

  delayMs(scene: FaultScene): number {
    return this.#rules.length === 0 ? 0 : (this.#take('delay', scene, () => true)?.ms ?? 0)
  }

  throttleMs(scene: FaultScene): number {
    return this.#rules.length === 0 ? 0 : (this.#take('throttle', scene, () => true)?.throttleTimeMs ?? 0)
  }

  #add(rule: Rule): void {
    this.#rules.push({ rule, left: rule.times ?? 1 })
  }

  #take<Kind extends Rule['kind']>(
    kind: Kind,
    scene: FaultScene,
    fits: (rule: Extract<Rule, { kind: Kind }>) => boolean,
  ): Extract<Rule, { kind: Kind }> | undefined {
    for (const [at, planned] of this.#rules.entries()) {
      const rule = planned.rule
      if (rule.kind !== kind || !isFor(rule, scene) || !fits(rule as Extract<Rule, { kind: Kind }>)) continue
      if (--planned.left <= 0) this.#rules.splice(at, 1)
      return rule as Extract<Rule, { kind: Kind }>
    }
    return undefined
  }
}

function isFor(rule: FaultTarget, scene: FaultScene): boolean {
  return (
    (rule.api === undefined || rule.api === scene.api) &&
    (rule.node === undefined || rule.node === scene.node) &&
    (rule.clientId === undefined || rule.clientId === scene.clientId)
  )
}
