/**
 * Typed face of the addon's links: TLS and frames of one connection on a thread of their own (addon/src/link.rs). Frames, bytes and words;
 * what they mean is decided in src/wire.
 */
import type { Socket } from 'node:net'
import { AppError } from '../errors/app-error.ts'
import type { LinkIdentity, NativeLink } from './native-link.ts'
import { native } from './native.ts'

/** @throws {AppError} CONFIG_INVALID when one of the texts cannot be used */
export function openLinkIdentity({ keyPem, certificatePem, caPem }: { keyPem: string, certificatePem: string, caPem: string }): LinkIdentity {
  try {
    return native.LinkIdentity.open(keyPem, certificatePem, caPem)
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `the identity of this machine is damaged: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/**
 * Takes a connected socket over, which is gone for Node behind it; nothing may have been read from it. `wake` is called when there is
 * something to take.
 * @throws {AppError} LINK_LOST when the socket is not connected any more
 */
export function openNativeLink(identity: LinkIdentity, socket: Socket, isServer: boolean, highWaterBytes: number, wake: () => void): NativeLink {
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null }
  try {
    // Node has no other way to the descriptor of a socket
    if (typeof handle?.fd !== 'number' || handle.fd < 0) throw new AppError('LINK_LOST', 'the connection was closed')
    return native.NativeLink.open(identity, handle.fd, isServer, highWaterBytes, wake)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('LINK_LOST', `the connection cannot be used: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    // closes Node's descriptor alone: the link has its own
    socket.destroy()
  }
}
