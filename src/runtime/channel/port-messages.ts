/**
 * The words between two threads that exchange elements, over the one port they share. A block goes with its buffer; when it has
 * been read the buffer goes back, and that is the credit: so what is under way on a channel is never more than its credits, and
 * buffers are made once. A channel is named by its edge, sender and receiver.
 */
export type PortMessage =
  /** Elements and what goes between them; the block's buffer is transferred. */
  | { readonly kind: 'block'; readonly channel: string; readonly block: Uint8Array<ArrayBuffer> }
  /** One more block may be sent. The buffer is transferred; there is none when values that were read lie in it. */
  | { readonly kind: 'credit'; readonly channel: string; readonly buffer: ArrayBuffer | undefined }
  /** The receiver reads no more: nothing is to be sent, and nobody is to wait. */
  | { readonly kind: 'closed'; readonly channel: string }
