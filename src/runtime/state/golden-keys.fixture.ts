/** The keys whose groups Flink itself was asked for, and the parallelisms; the answers are in test/golden/key-group, in this order. */
import type { Key } from '../../core/index.ts'

export const GOLDEN_KEYS: readonly Key[] = [
  ...['', 'a', 'user-1', 'user-2', 'größer', '世界', '\u{1f600}', '\ud800', 'x\udc00y', '\u0000', 'k'.repeat(1_000)],
  ...[0, 1, -1, 42, 0.1, -1.5, 2 ** 31, 2 ** 53, 1e300, Number.NaN, Infinity, -Infinity, Number.MIN_VALUE],
  ...[0n, 1n, -1n, 127n, 128n, -128n, -129n, 2n ** 63n, -(2n ** 64n), 10n ** 30n],
  ...[true, false],
  ...[[], ['a'], ['a', 'b'], ['ab', ''], ['eu', 7], [1, 2n, true, 'é'], ['x', -0.5]],
  ...Array.from({ length: 60 }, (_, i) => `order-${i * 7919}`),
  ...Array.from({ length: 30 }, (_, i) => i * 1_000_003),
]

export const GOLDEN_PARALLELISMS: readonly { readonly maxParallelism: number; readonly parallelism: number }[] = [
  { maxParallelism: 128, parallelism: 4 },
  { maxParallelism: 128, parallelism: 3 },
  { maxParallelism: 1, parallelism: 1 },
  { maxParallelism: 1_000, parallelism: 7 },
  { maxParallelism: 32_768, parallelism: 129 },
]

export const GOLDEN_FILE: URL = new URL('../../../test/golden/key-group/flink.v1', import.meta.url)
