/**
 * Makes the ends of the edges between tasks, for one thread: of channels within the thread, and of those to and from the other
 * threads over the port to each. Subtask i of every chain is on thread i mod T. With no other threads all channels are local.
 *
 * Memory: a channel to another thread has at most `credits` blocks of about `blockBytes` under way and one being filled; a
 * channel within the thread 1,024 elements. What one element makes beyond that is kept too.
 */
import type { MessagePort } from 'node:worker_threads'
import { assert, type Random } from '../../base/index.ts'
import type { ElementTime } from '../../core/index.ts'
import { ReaderShapes } from '../block/reader-shapes.ts'
import { type PlannedEdge, receiversOf } from '../plan/physical-plan.ts'
import { type ChannelSender, Congestion } from './channel-sender.ts'
import { EdgeSerializer } from './edge-serializer.ts'
import type { InputChannel, OutputEdge } from './exchange.ts'
import { LocalChannel } from './local-channel.ts'
import { PartitionedEdge } from './partitioned-edge.ts'
import { partitionerOf } from './partitioner.ts'
import { RemoteReceiver } from './remote-receiver.ts'
import { RemoteSender } from './remote-sender.ts'
import { ThreadPort } from './thread-port.ts'

const BLOCK_BYTES = 32 * 1024
const CREDITS = 4

export interface EdgeEndsOptions {
  /** This thread, and how many there are. */
  readonly thread: number
  readonly threads: number
  /** To each other thread, by its number. */
  readonly peers: Readonly<Record<number, MessagePort>>
  readonly random: Random
  readonly blockBytes?: number
  readonly credits?: number
}

/** The ends of one task, as the task asks for them. */
export interface TaskEdgeEnds {
  createInput(edge: PlannedEdge, sender: number, time: ElementTime): InputChannel
  createOutput(edge: PlannedEdge, time: ElementTime): OutputEdge
}

export class EdgeEnds {
  readonly #options: EdgeEndsOptions
  readonly #ports = new Map<number, ThreadPort>()
  /** Channels of which only one end was asked for yet. */
  readonly #halves = new Map<string, LocalChannel>()
  readonly #shapes = new ReaderShapes()
  #attempt = 0

  constructor(options: EdgeEndsOptions) {
    this.#options = options
    for (const [thread, port] of Object.entries(options.peers)) this.#ports.set(Number(thread), new ThreadPort(port))
  }

  /** Of one subtask. A channel's name holds the attempt, so that what an earlier one left never meets this one. */
  endsOf(subtask: number, attempt: number): TaskEdgeEnds {
    if (attempt !== this.#attempt) {
      this.#attempt = attempt
      for (const half of this.#halves.values()) half.close()
      this.#halves.clear()
    }
    return {
      createInput: (edge, sender, time) => this.#input(nameOf(edge, sender, subtask, attempt), edge, sender, time),
      createOutput: (edge, time) => this.#output(edge, subtask, attempt, time),
    }
  }

  /** All ends stop: nobody waits any more. Idempotent. */
  close(): void {
    for (const port of this.#ports.values()) port.close()
    for (const half of this.#halves.values()) half.close()
    this.#halves.clear()
  }

  #input(name: string, planned: PlannedEdge, sender: number, time: ElementTime): InputChannel {
    const port = this.#portTo(sender)
    if (port === undefined) return this.#local(name, (channel) => channel.receive(time))
    return new RemoteReceiver({ name, port, time, shapes: this.#shapes, serializer: serializerOf(planned) })
  }

  #output(planned: PlannedEdge, subtask: number, attempt: number, time: ElementTime): OutputEdge {
    const { edge, from, to } = planned
    const { random, blockBytes = BLOCK_BYTES, credits = CREDITS } = this.#options
    const congestion = new Congestion()
    const serializer = serializerOf(planned)
    const owner = `what operator "${from.name}" emits`
    const channels = receiversOf(planned, subtask).map((receiver): ChannelSender => {
      const name = nameOf(planned, subtask, receiver, attempt)
      const port = this.#portTo(receiver)
      if (port === undefined) return this.#local(name, (channel) => channel.send(congestion))
      return new RemoteSender({ name, port, congestion, credits, blockBytes, owner, serializer })
    })
    const partitioner = partitionerOf({
      edge,
      channels: channels.length,
      maxParallelism: to.maxParallelism,
      random,
      operatorName: from.name,
    })
    return new PartitionedEdge({ channels, congestion, partitioner, time })
  }

  #local<End>(name: string, end: (channel: LocalChannel) => End): End {
    const channel = this.#halves.get(name) ?? new LocalChannel()
    const made = end(channel)
    if (channel.whole) this.#halves.delete(name)
    else this.#halves.set(name, channel)
    return made
  }

  /** The port to the thread of a subtask; undefined when it is this one. */
  #portTo(subtask: number): ThreadPort | undefined {
    const thread = subtask % this.#options.threads
    if (thread === this.#options.thread) return undefined
    const port = this.#ports.get(thread)
    assert(port !== undefined, `thread ${this.#options.thread} has no port to thread ${thread}`)
    return port
  }
}

function serializerOf({ edge, from }: PlannedEdge): EdgeSerializer | undefined {
  return edge.serializer === undefined ? undefined : new EdgeSerializer(edge.serializer, from.name)
}

function nameOf(edge: PlannedEdge, sender: number, receiver: number, attempt: number): string {
  return `${attempt}/${edge.index}/${sender}>${receiver}`
}
