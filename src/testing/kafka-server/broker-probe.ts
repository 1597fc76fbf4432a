// Asks one broker what it knows of the cluster: single Metadata and ApiVersions requests over sockets of their own.
//
// Why by hand: the launcher must be able to tell when a broker is ready without a JVM start and without the client
// under test, whose faults it would otherwise inherit; and the Java admin client cannot be told which broker to ask.
// Metadata v4 and ApiVersions v3 are answered by every Kafka that is in use. What always holds: the socket is closed
// and the answer comes, or an error, within the time given.

import { connect } from 'node:net'

/** What one broker says about the cluster. Brokers that are fenced, thus not yet serving, are not in it. */
export interface MetadataAnswer {
  readonly brokerIds: readonly number[]
  readonly controllerId: number
  readonly topics: readonly TopicAnswer[]
}

export interface TopicAnswer {
  readonly error: number
  readonly name: string
  /** Partitions that have a leader and no error. */
  readonly readyPartitions: number
  readonly partitions: number
}

const METADATA = 3
const METADATA_VERSION = 4
const API_VERSIONS = 18
const API_VERSIONS_VERSION = 3
const FINALIZED_FEATURES_TAG = 2
const CORRELATION_ID = 7
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
const CLIENT_ID = Buffer.from('ready-probe')

/** Asks the broker at `port` about the cluster and the `topics` named; no topic is created by asking. */
export async function askMetadata(port: number, topics: readonly string[], timeoutMs: number): Promise<MetadataAnswer> {
  const names = topics.map((topic) => Buffer.from(topic))
  // The last byte stays 0: a topic that is missing is not created.
  const body = Buffer.alloc(4 + names.reduce((bytes, name) => bytes + 2 + name.length, 0) + 1)
  let at = body.writeInt32BE(names.length, 0)
  for (const name of names) {
    at = body.writeInt16BE(name.length, at)
    at += name.copy(body, at)
  }
  return new AnswerReader(await ask(port, frame(METADATA, METADATA_VERSION, body), timeoutMs)).metadata()
}

/** The finalized features that the broker at `port` goes by, with their levels; one at level 0 is not listed. */
export async function askFeatures(port: number, timeoutMs: number): Promise<ReadonlyMap<string, number>> {
  // No tagged fields in the header; name and version of the client as compact strings; no tagged fields in the body.
  const name = [CLIENT_ID.length + 1, ...CLIENT_ID]
  const body = Buffer.from([0, ...name, 2, 0x31, 0])
  return new AnswerReader(await ask(port, frame(API_VERSIONS, API_VERSIONS_VERSION, body), timeoutMs)).features()
}

function frame(api: number, version: number, body: Buffer): Buffer {
  const header = Buffer.alloc(4 + 2 + 2 + 4 + 2)
  header.writeInt32BE(header.length - 4 + CLIENT_ID.length + body.length, 0)
  header.writeInt16BE(api, 4)
  header.writeInt16BE(version, 6)
  header.writeInt32BE(CORRELATION_ID, 8)
  header.writeInt16BE(CLIENT_ID.length, 12)
  return Buffer.concat([header, CLIENT_ID, body])
}

function ask(port: number, request: Buffer, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port })
    const deadline = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    let received: Buffer = Buffer.alloc(0)
    socket.on('connect', () => socket.write(request))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4) return
      const size = received.readInt32BE(0)
      if (size < 0 || size > ANSWER_BYTES_MAX) socket.destroy(new Error(`an answer of ${size} bytes is not Kafka`))
      if (received.length < 4 + size) return
      resolve(received.subarray(4, 4 + size))
      socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      clearTimeout(deadline)
      // Has no effect when the promise is settled already.
      reject(new Error('the broker closed the connection without an answer'))
    })
  })
}

class AnswerReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  metadata(): MetadataAnswer {
    this.#correlation()
    this.#int32() // throttle time
    const brokerIds = this.#array(() => {
      const id = this.#int32()
      this.#string()
      this.#int32()
      this.#string()
      return id
    })
    this.#string() // cluster id
    const controllerId = this.#int32()
    const topics = this.#array(() => this.#topic())
    return { brokerIds, controllerId, topics }
  }

  features(): ReadonlyMap<string, number> {
    this.#correlation()
    const error = this.#int16()
    if (error !== 0) throw new Error(`ApiVersions was answered with error ${error}`)
    for (let left = this.#unsigned() - 1; left > 0; left--) {
      this.#at += 6 // one API and its versions
      this.#skipTagged()
    }
    this.#int32() // throttle time
    const features = new Map<string, number>()
    for (let left = this.#unsigned(); left > 0; left--) {
      const tag = this.#unsigned()
      const size = this.#unsigned()
      const end = this.#at + size
      if (tag === FINALIZED_FEATURES_TAG) this.#finalizedFeatures(features)
      this.#at = end
    }
    return features
  }

  #finalizedFeatures(features: Map<string, number>): void {
    for (let left = this.#unsigned() - 1; left > 0; left--) {
      const length = this.#unsigned() - 1
      const name = this.#bytes.toString('utf8', this.#at, this.#at + length)
      this.#at += length
      features.set(name, this.#int16())
      this.#int16() // the lowest level
      this.#skipTagged()
    }
  }

  #skipTagged(): void {
    for (let left = this.#unsigned(); left > 0; left--) {
      this.#unsigned()
      const size = this.#unsigned()
      this.#at += size
    }
  }

  #correlation(): void {
    const correlationId = this.#int32()
    if (correlationId !== CORRELATION_ID) throw new Error(`an answer numbered ${correlationId} was not asked for`)
  }

  #topic(): TopicAnswer {
    const error = this.#int16()
    const name = this.#string()
    this.#at += 1 // internal or not
    const ready = this.#array(() => {
      const partitionError = this.#int16()
      this.#int32()
      const leader = this.#int32()
      this.#array(() => this.#int32())
      this.#array(() => this.#int32())
      return partitionError === 0 && leader >= 0
    })
    return { error, name, readyPartitions: ready.filter(Boolean).length, partitions: ready.length }
  }

  #array<T>(readOne: () => T): T[] {
    return Array.from({ length: Math.max(0, this.#int32()) }, readOne)
  }

  #string(): string {
    const length = this.#int16()
    if (length < 0) return ''
    const text = this.#bytes.toString('utf8', this.#at, this.#at + length)
    this.#at += length
    return text
  }

  /** An unsigned number in groups of seven bits, the lowest first. */
  #unsigned(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#at++)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new Error('a number of more than five bytes')
  }

  #int16(): number {
    const value = this.#bytes.readInt16BE(this.#at)
    this.#at += 2
    return value
  }

  #int32(): number {
    const value = this.#bytes.readInt32BE(this.#at)
    this.#at += 4
    return value
  }
}
