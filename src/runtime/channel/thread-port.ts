/**
 * The port to another thread, shared by all channels between the two. Messages come in with the event loop, and whoever finds a
 * channel empty or blocked may look for them before that: a task that works a whole slice need not wait for its end.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { PortMessage } from './port-messages.ts'

export interface PortChannel {
  receive(message: PortMessage): void
  /** The other thread is gone. */
  lost(): void
}

export class ThreadPort {
  readonly #port: MessagePort
  readonly #channels = new Map<string, PortChannel>()
  /** Blocks for channels whose task is not there yet, bounded by the senders' credits. */
  readonly #early = new Map<string, PortMessage[]>()
  #open = true

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (message: PortMessage) => this.#receive(message))
    port.on('close', () => this.#lost())
  }

  /** Both ends of a channel may be of one name, since a port has two sides. */
  connect(name: string, channel: PortChannel): void {
    this.#channels.set(name, channel)
    for (const message of this.#early.get(name) ?? []) channel.receive(message)
    this.#early.delete(name)
    if (!this.#open) channel.lost()
  }

  /** Messages to it are dropped from now on. */
  disconnect(name: string): void {
    this.#channels.set(name, NOBODY)
  }

  post(message: PortMessage, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#open) this.#port.postMessage(message, transfer)
  }

  /** Takes in what has come. */
  look(): void {
    if (!this.#open) return
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      this.#receive(next.message as PortMessage)
    }
  }

  /** Idempotent. */
  close(): void {
    this.#port.close()
    this.#lost()
  }

  #receive(message: PortMessage): void {
    const channel = this.#channels.get(message.channel)
    if (channel !== undefined) {
      channel.receive(message)
      return
    }
    const early = this.#early.get(message.channel)
    if (early === undefined) this.#early.set(message.channel, [message])
    else early.push(message)
  }

  #lost(): void {
    if (!this.#open) return
    this.#open = false
    for (const channel of this.#channels.values()) channel.lost()
  }
}

const NOBODY: PortChannel = { receive: () => undefined, lost: () => undefined }
