/**
 * What the demo's orders are: order `id` is the same whoever makes it, so the account can tell what must come out of the job
 * without asking the job. Of 500 orders in a row 399 are large; every 97th record is no order at all and must not come out.
 */
export interface Order {
  readonly id: number
  readonly user: string
  readonly amount: number
}

/** A large order as the job writes it, with the shipping that the job looked up. */
export interface PricedOrder extends Order {
  readonly region: string
  readonly shipping: number
}

const USERS = 1_000
const AMOUNTS = 500
const LARGE_ABOVE = 100
const BROKEN_EVERY = 97
const REGIONS: readonly (readonly [region: string, shipping: number])[] = [
  ['north', 4],
  ['east', 7],
  ['south', 5],
  ['west', 9],
]

/** The record of the topic of orders that has this id: JSON, or text that is none. */
export function orderText(id: number): string {
  if (isBroken(id)) return `order ${id} was cut off {`
  return JSON.stringify({ id, user: `u${id % USERS}`, amount: (id * 7) % AMOUNTS } satisfies Order)
}

/** Undefined for what is no order: the job leaves it out. */
export function parseOrder(text: string): Order | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isOrder(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function isLarge(order: Order): boolean {
  return order.amount > LARGE_ABOVE
}

export function priced(order: Order): PricedOrder {
  const [region, shipping] = REGIONS[Number(order.user.slice(1)) % REGIONS.length] ?? ['nowhere', 0]
  return { ...order, region, shipping }
}

/** What the topic of large orders must hold for this id; undefined when nothing. */
export function expectedText(id: number): string | undefined {
  const order = isBroken(id) ? undefined : parseOrder(orderText(id))
  return order !== undefined && isLarge(order) ? JSON.stringify(priced(order)) : undefined
}

/** The same without making the text. */
export function isExpected(id: number): boolean {
  return !isBroken(id) && (id * 7) % AMOUNTS > LARGE_ABOVE
}

function isBroken(id: number): boolean {
  return id % BROKEN_EVERY === BROKEN_EVERY - 1
}

function isOrder(value: unknown): value is Order {
  return typeof value === 'object' && value !== null && 'id' in value && 'user' in value && 'amount' in value
}
