/**
 * What agent and appliance say to each other, over any transport. A Link carries whole messages in order, both ways; sending waits for
 * the peer's credit, so a slow receiver slows the sender and memory stays bounded. It never drops, reorders or repeats a message; when
 * the transport ends it fails, it does not heal (reconnecting is the agent's business).
 */
import type { Transmission } from '../domain/transmission.ts'
import type { Message } from './messages.ts'

export interface Link extends AsyncDisposable {
  /**
   * Resolves when the message is within the peer's credit and the transport keeps up. Its buffers are given away: leave them as they are.
   * Data messages keep the order of the calls; urgent control messages too, and they may overtake data. Control messages that are not urgent
   * (isUrgent in messages.ts) stay behind the data that was sent before them.
   * @throws {AppError} LINK_LOST when the link has ended. Abort gives up a message that waits for credit and leaves the link usable; one
   * that was handed over resolves.
   */
  send(message: Message, signal: AbortSignal): Promise<void>
  /**
   * The peer's messages in order, once; ends when one of the two closed orderly, throws LINK_LOST or FRAME_INVALID otherwise (behind what
   * had arrived). Credit for a message is given back when the next one is asked for. Buffers belong to the consumer.
   */
  receive(): AsyncIterable<Message>
  /**
   * The consumer is done with a buffer of a message that it received: the link may fill it with a later one. A kindness, not a duty; once
   * for a message, and only when nothing keeps a part of it.
   */
  reuse(buffer: Buffer): void
  /**
   * How this side sends from now on, what waits already included. The limit is that of the bytes on the wire, control messages and TLS among
   * them; urgent messages and signs of life get through however low it is. Packing changes nothing that the peer's consumer sees.
   */
  transmit(how: Transmission): void
  /** What one message of file content should hold: much, so that each costs little, and less on a limited link, where whatever wants to stop waits for it. */
  readonly pieceBytes: number
  /** Bytes handed to the transport so far, headers included, before packing. */
  readonly bytesSent: number
  /** Bytes of the messages that have gone out so far, headers included, as they were packed. */
  readonly bytesSentPacked: number
  /** Bytes that came from the peer so far, those of messages that are not whole among them. */
  readonly bytesReceived: number
  /** Disposing closes orderly: what was sent arrives, then the peer's `receive` ends. */
}

/** A link that was opened to us, and who is at its other end. */
export interface AcceptedLink {
  link: Link
  /** DER of the certificate that the peer has shown; undefined without one */
  certificate: Buffer | undefined
  /** why the peer is not believed: it can be told so, but nothing that it says is heard. Undefined for a peer with a certificate of the authority */
  distrust: string | undefined
}
