/**
 * The bytes of a block: some values of any JSON-like kind, self-contained, in columns. Blocks cross threads and lie in
 * checkpoints, so the first byte is a version and golden bytes of every version are in test/golden/block.
 *
 * VERSION_1 holds, all little-endian:
 *
 *     0   u8 version, u8 flags, u16 zero
 *     4   u32 each: raw bytes, numbers, ints, stream bytes, definition bytes, text bytes, values
 *     32  raw           contents of Buffers and typed arrays; those of wider elements begin at a multiple of 8
 *         (to 8)
 *         numbers       float64 or int64 each
 *         ints          int32 each
 *         stream        a tag for each value, then lengths (LEB128) of its text, elements or raw bytes
 *         definitions   JSON in UTF-8: [[types, [key, ...]], ...], the shapes of this block in the order of their numbers
 *         text          all text: latin1, or UTF-16 when FLAG_WIDE_TEXT is set; lengths count code units
 *
 * An object with the same keys in the same order as others is its shape's tag and its fields without keys. The type of a field
 * ('s' text, 'i' int, 'd' double, 'a' any) says where it lies; only 'a' has a tag of its own.
 */

export const VERSION_1 = 1
export const HEADER_BYTES = 32
export const FLAG_WIDE_TEXT = 1

/** Fields of an object that may be a shape; one with more is written with its keys. */
export const SHAPE_FIELDS_MAX = 64
/** Levels of objects within objects; one that contains itself is found by it. */
export const DEPTH_MAX = 400

export const UNDEFINED = 0
export const NULL = 1
export const FALSE = 2
export const TRUE = 3
/** In the ints. */
export const INT = 4
/** In the numbers. */
export const DOUBLE = 5
/** Length; the text. */
export const TEXT = 6
/** An int64 in the numbers. */
export const BIGINT_64 = 7
/** Length; decimal digits in the text. */
export const BIGINT_TEXT = 8
/** Milliseconds in the numbers; NaN when invalid. */
export const DATE = 9
/** Length; the elements. */
export const ARRAY = 10
/** Within an array: an element that is not there. */
export const HOLE = 11
/** Number of fields; of each the length of its key, and its value. */
export const OBJECT = 12
/** The same, without a prototype. */
export const BARE_OBJECT = 13
/** Number of entries; of each its key and its value. */
export const MAP = 14
/** Number of elements; the elements. */
export const SET = 15
/** Kind (an index into RAW_KINDS), length in bytes; the raw bytes. */
export const RAW = 16
/** Number of the shape; the fields. */
export const SHAPED = 17
/** This plus the number of the shape, for the first 128 of a block. */
export const FIRST_SHAPE = 0x40
export const NEAR_SHAPES = 0x80
/** This plus 0 to 15: a mark between values, of whoever uses the block. */
export const FIRST_MARK = 0xf0

/** Types of fields as they stand in a definition. */
export const FIELD_TEXT = 0
export const FIELD_INT = 1
export const FIELD_DOUBLE = 2
export const FIELD_ANY = 3
export const FIELD_LETTERS = 'sida'
