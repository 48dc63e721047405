/** What the addon exports for links between agent and appliance; the module link. */

declare const linkIdentity: unique symbol
/** Key, certificate and authority of one side, ready for use. */
export interface LinkIdentity { readonly [linkIdentity]: true }

export interface NativeFrame {
  kind: number
  volume: number
  /** where in `memory` the body begins */
  start: number
  /** of the body */
  length: number
  /** `memory` is to be given back with `supply` when nobody looks at it any more */
  pooled: boolean
  memory: Buffer
}

/** Why it ended: `closed` by us, `lost`, `invalid` (the peer sent what are no frames), `untrusted` (somebody's certificate). */
export type NativeEndKind = 'closed' | 'lost' | 'invalid' | 'untrusted'

export interface NativeTaken {
  frames: NativeFrame[]
  /** bytes of data that are not with the network yet */
  unsent: number
  /** once, when the handshake is through: why the peer's certificate is not believed (empty when it is), and the certificate, DER (empty when there is none) */
  peer?: { distrust: string, certificate: Buffer } | null
  /** once, behind the last frame: kind and words */
  end?: [NativeEndKind, string] | null
}

export interface NativeFrames { kinds: number[], volumes: number[], lengths: number[], bodies: Buffer, atBoundary: boolean, invalid: string }

export interface NativeLink {
  /**
   * Hands a frame over; both buffers belong to the link until it was written. An urgent one goes before data that waits, and between the
   * parts of a large frame; data keeps its order. Gives the bytes of data that are not with the network yet.
   */
  send(head: Buffer, body: Buffer, isUrgent: boolean): number
  /** From now on: bytes per second on the wire (0: no limit), level of zstd (0: data goes as it is), and what may wait before `wake` is due. */
  setPace(bytesPerSecond: number, level: number, highWaterBytes: number): void
  /** bytes of the frames that went out, as they were packed */
  packed(): number
  /** bytes given to the socket, those of TLS among them */
  written(): number
  take(): NativeTaken
  /** Takes the memory of a frame for a later one; answers what it does not keep. */
  supply(memory: Buffer): Buffer[]
  /** bytes that are not with the network yet, of data and of what is urgent */
  unsent(): number
  /** bytes that came from the network so far */
  heard(): number
  /** Ends the link: when what was sent is written, or at once. `take` tells when it is done. */
  close(atOnce: boolean): void
}

export interface NativeLinking {
  /** The frame parser without a connection, for tests and fuzzing: a stream that comes in pieces of so many bytes. */
  framesOf(stream: Buffer, piece: number): NativeFrames
  LinkIdentity: { open(keyPem: string, certificatePem: string, caPem: string): LinkIdentity }
  NativeLink: { open(identity: LinkIdentity, fd: number, isServer: boolean, highWaterBytes: number, wake: () => void): NativeLink }
}
