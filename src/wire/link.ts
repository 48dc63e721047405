/**
 * What agent and appliance say to each other, over any transport. A Link carries whole messages in order, both ways; sending waits for
 * the peer's credit, so a slow receiver slows the sender and memory stays bounded. It never drops, reorders or repeats a message; when
 * the transport ends it fails, it does not heal (reconnecting is the agent's business).
 */
import type { Message } from './messages.ts'

export interface Link extends AsyncDisposable {
  /**
   * Resolves when the message is handed to the transport and within the peer's credit. The message's buffers are borrowed until then.
   * @throws {AppError} LINK_LOST when the link has ended. Abort leaves the link usable when nothing was sent yet.
   */
  send(message: Message, signal: AbortSignal): Promise<void>
  /**
   * The peer's messages in order, once; ends when the peer closed orderly, throws LINK_LOST or FRAME_INVALID otherwise. Credit for a
   * message is given back when the next one is asked for. Buffers belong to the consumer.
   */
  receive(): AsyncIterable<Message>
  /** Bytes handed to the transport so far, headers included. */
  readonly bytesSent: number
}
