/**
 * JSON whose texts look alike, read faster than by JSON.parse. Records of a topic mostly have the same keys in the same order, so
 * the text between their values is the same too: a shape. For each shape that was seen a parser is generated that compares that
 * text byte by byte and reads the values where they must stand; whatever does not fit exactly is left to JSON.parse, which alone
 * decides what is an error. So the values are those of JSON.parse, always, and only the time differs: for a flat object of six
 * fields 290 instead of 740 ns (json-schema.bench.ts).
 *
 * A parser reads numbers of at most 15 digits without an exponent, because those are exact in a division by a power of ten; strings
 * without escapes; booleans and null. Strings it answers are independent of the text that they are cut from.
 *
 * Where code may not be generated from strings (node --disallow-code-generation-from-strings) nothing is ever learnt.
 */

/** ASCII, as bytes and as a string: byte i is character i - `offset`. Good during the call: the bytes are used again after it. */
export interface AsciiText {
  readonly bytes: Buffer
  readonly text: string
  readonly offset: number
}

/** The value of bytes [from, to), or undefined when they do not have the shape. */
type ShapeParser = (bytes: Buffer, from: number, to: number, text: string, offset: number) => unknown

const PARSERS_MAX = 8
const SLOTS_MAX = 64
const DEPTH_MAX = 8
const TEXT_MAX = 8_192
/** After so many misses it is decided whether trying is worth it; if not, it is left alone for a while. */
const MISSES_MAX = 256
const HITS_PER_MISS_MIN = 3
const PAUSE_TEXTS = 16_384

export class JsonShapes {
  readonly #parsers: ShapeParser[] = []
  readonly #known = new Set<string>()
  #current: ShapeParser = neverFits
  #hits = 0
  #misses = 0
  #pause = 0

  /** The value, or undefined: then JSON.parse is asked, and `learn` is told of a text that it took. */
  parse(ascii: AsciiText, from: number, to: number): unknown {
    if (this.#pause > 0) {
      this.#pause--
      return undefined
    }
    const { bytes, text, offset } = ascii
    const value = this.#current(bytes, from, to, text, offset)
    if (value !== undefined) {
      this.#hits++
      return value
    }
    return this.#parseByAnother(ascii, from, to)
  }

  #parseByAnother({ bytes, text, offset }: AsciiText, from: number, to: number): unknown {
    for (const parser of this.#parsers) {
      const value = parser === this.#current ? undefined : parser(bytes, from, to, text, offset)
      if (value === undefined) continue
      this.#current = parser
      this.#hits++
      return value
    }
    this.#misses++
    if (this.#misses >= MISSES_MAX) {
      if (this.#hits < this.#misses * HITS_PER_MISS_MIN) this.#pause = PAUSE_TEXTS
      this.#hits = this.#misses = 0
    }
    return undefined
  }

  /** `text` is a whole JSON text that fitted no shape. */
  learn(text: string): void {
    if (this.#pause > 0 || this.#parsers.length >= PARSERS_MAX || text.length > TEXT_MAX) return
    const shape = new ShapeScanner(text).scan()
    if (shape === undefined || this.#known.has(shape.signature)) return
    this.#known.add(shape.signature)
    const parser = generateParser(shape)
    if (parser !== undefined) this.#parsers.push(parser)
  }
}

const neverFits: ShapeParser = () => undefined

type SlotKind = 'string' | 'number' | 'boolean'

interface Slot {
  /** The text since the slot before, opening quotes included. */
  readonly before: string
  readonly kind: SlotKind
}

interface Shape {
  readonly signature: string
  readonly slots: readonly Slot[]
  readonly tail: string
  /** A literal of JavaScript in which v0, v1 ... stand for the values of the slots. */
  readonly expression: string
}

/** Takes a text that JSON.parse accepted apart. Undefined for what a literal could not repeat, or is not worth it. */
class ShapeScanner {
  readonly #text: string
  readonly #slots: Slot[] = []
  #at = 0
  #before = ''

  constructor(text: string) {
    this.#text = text
  }

  scan(): Shape | undefined {
    this.#space()
    if (this.#text[this.#at] !== '{') return undefined
    const expression = this.#object(0)
    if (expression === undefined || this.#slots.length === 0) return undefined
    this.#space()
    const signature = JSON.stringify([this.#slots, this.#before])
    return { signature, slots: this.#slots, tail: this.#before, expression }
  }

  #take(count: number): void {
    this.#before += this.#text.slice(this.#at, this.#at + count)
    this.#at += count
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#take(1)
  }

  #object(depth: number): string | undefined {
    if (depth > DEPTH_MAX) return undefined
    const keys = new Set<string>()
    const fields: string[] = []
    this.#take(1)
    this.#space()
    while (this.#text[this.#at] !== '}') {
      const key = this.#key()
      // A literal would set the prototype; of equal keys the last one counts, in the place of the first.
      if (key === undefined || key === '__proto__' || keys.has(key)) return undefined
      keys.add(key)
      const value = this.#value(depth)
      if (value === undefined) return undefined
      fields.push(`${JSON.stringify(key)}:${value}`)
      this.#space()
      if (this.#text[this.#at] === ',') this.#take(1)
      this.#space()
    }
    this.#take(1)
    return `{${fields.join(',')}}`
  }

  /** With the colon behind it. */
  #key(): string | undefined {
    const raw = /^"[^"\\]*"/.exec(this.#text.slice(this.#at))?.[0]
    if (raw === undefined) return undefined
    this.#take(raw.length)
    this.#space()
    this.#take(1)
    this.#space()
    return raw.slice(1, -1)
  }

  #value(depth: number): string | undefined {
    const rest = this.#text.slice(this.#at)
    if (rest.startsWith('{')) return this.#object(depth + 1)
    if (rest.startsWith('"')) return this.#string(rest)
    if (rest.startsWith('null')) {
      this.#take(4)
      return 'null'
    }
    const plain = /^(?:true|false|-?[0-9.eE+-]+)/.exec(rest)?.[0]
    if (plain === undefined) return undefined
    return this.#slot(plain === 'true' || plain === 'false' ? 'boolean' : 'number', plain.length)
  }

  #string(rest: string): string | undefined {
    const raw = /^"(?:[^"\\]|\\.)*"/.exec(rest)?.[0] ?? ''
    this.#take(1)
    const value = this.#slot('string', raw.length - 2)
    this.#take(1)
    return value
  }

  #slot(kind: SlotKind, length: number): string | undefined {
    if (this.#slots.length >= SLOTS_MAX) return undefined
    this.#slots.push({ before: this.#before, kind })
    this.#before = ''
    this.#at += length
    return `v${this.#slots.length - 1}`
  }
}

/** Powers of ten that a double holds exactly. */
const POWERS: readonly number[] = Array.from({ length: 16 }, (_, digits) => 10 ** digits)

function generateParser({ slots, tail, expression }: Shape): ShapeParser | undefined {
  const body = [
    'let c = 0, n = 0, s = 0, d = 0;',
    ...slots.flatMap(({ before, kind }, index) => [literalCode(before), SLOT_CODE[kind](`v${index}`)]),
    literalCode(tail),
    `return p === to ? ${expression} : undefined;`,
  ].join('\n')
  try {
    const make = new Function('POWERS', `return function parseShape(b, p, to, text, offset) {\n${body}\n}`)
    return make(POWERS) as ShapeParser
  } catch {
    // Code from strings is forbidden here: JSON.parse reads everything.
    return undefined
  }
}

/** Nobody looks beyond the buffer: what is not there is undefined, which equals no byte. */
function literalCode(literal: string): string {
  if (literal === '') return ''
  const wrong = [...literal].map((character, index) => `b[p + ${index}] !== ${character.charCodeAt(0)}`)
  return `if (${wrong.join(' || ')}) return undefined; p += ${literal.length};`
}

/** V8 copies substrings of up to 12 characters; longer ones would keep the whole text alive, and are made of the bytes. */
const SLOT_CODE: Readonly<Record<SlotKind, (name: string) => string>> = {
  string: (name) =>
    `s = p; while (p < to && (c = b[p]) !== 34) { if (c === 92 || c < 32) return undefined; p++; }
     const ${name} = p - s > 12 ? b.latin1Slice(s, p) : text.slice(s - offset, p - offset);`,
  boolean: (name) =>
    `let ${name} = false;
     if (b[p] === 116 && b[p + 1] === 114 && b[p + 2] === 117 && b[p + 3] === 101) { ${name} = true; p += 4; }
     else if (b[p] === 102 && b[p + 1] === 97 && b[p + 2] === 108 && b[p + 3] === 115 && b[p + 4] === 101) p += 5;
     else return undefined;`,
  number: (name) =>
    `s = p; if (b[p] === 45) p++;
     d = p; n = 0; while ((c = b[p]) >= 48 && c <= 57) { n = n * 10 + (c - 48); p++; }
     if (p === d || p - d > 15 || (b[d] === 48 && p - d > 1)) return undefined;
     let ${name} = n;
     if (c === 46) {
       const point = p++;
       while ((c = b[p]) >= 48 && c <= 57) { n = n * 10 + (c - 48); p++; }
       if (p - point < 2 || p - d > 16) return undefined;
       ${name} = n / POWERS[p - point - 1];
     }
     if (c === 101 || c === 69) return undefined;
     if (d !== s) ${name} = -${name};`,
}
