/**
 * TLS to a VMware server: either the server's certificate verifies with the CAs of this system (and Node's), or it is exactly the one that
 * was accepted once. The check ends before the connection is given to HTTP, so no byte of a request leaves before it.
 */
import { Agent } from 'node:https'
import { isIP, Socket } from 'node:net'
import { connect, getCACertificates, type TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'
import { AppError } from '../errors/app-error.ts'

/** How a server is reached and what it must show; `thumbprint` '' = its certificate must verify. */
export interface TlsTarget {
  readonly host: string
  readonly port: number
  readonly thumbprint: string
  /** further CAs in PEM, beside those of the system */
  readonly trustedCas?: readonly string[]
}

/** What a person needs to decide about a certificate. */
export interface ServerCertificate {
  readonly subject: string
  /** SHA-256, upper-case hex pairs with colons */
  readonly thumbprint: string
  readonly verified: boolean
  /** why it does not verify, '' when it does */
  readonly reason: string
}

const CONNECT_TIMEOUT_MS = 20_000

const REASONS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate authority is not known here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate authority is not known here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate authority is not known here',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it was made for another name',
}

/**
 * The certificate that the server shows now and whether it verifies; sends nothing but the handshake. Used when a VMware server is added.
 * @throws {AppError} VSPHERE_UNREACHABLE when there is no TLS server
 */
export async function probeCertificate(host: string, port: number, signal: AbortSignal, trustedCas: readonly string[] = []): Promise<ServerCertificate> {
  const socket = await handshake({ host, port, thumbprint: '', trustedCas }, signal)
  try {
    return certificateOf(socket)
  } finally {
    socket.destroy()
  }
}

/** Throws unless this certificate is acceptable for the target. @throws {AppError} CERTIFICATE_CHANGED, CERTIFICATE_UNTRUSTED */
export function checkCertificate(target: TlsTarget, shown: ServerCertificate): void {
  const where = `${target.host}:${String(target.port)}`
  if (target.thumbprint !== '') {
    if (shown.thumbprint === normalThumbprint(target.thumbprint)) return
    throw new AppError('CERTIFICATE_CHANGED', `the certificate of ${where} is not the accepted one: it is ${shown.thumbprint} (${shown.subject}), accepted was ${target.thumbprint}`)
  }
  if (!shown.verified) {
    throw new AppError('CERTIFICATE_UNTRUSTED', `the certificate of ${where} does not verify (${shown.reason}): subject ${shown.subject}, SHA-256 thumbprint ${shown.thumbprint}`)
  }
}

/** A thumbprint in the form we keep, from one that a person typed with or without colons, in either case. */
export function normalThumbprint(typed: string): string {
  return typed.replace(/[^0-9a-fA-F]/g, '').toUpperCase().match(/../g)?.join(':') ?? ''
}

/** An HTTPS agent whose every connection has passed `checkCertificate` before it is used. */
export class VerifyingAgent extends Agent {
  readonly #target: TlsTarget

  constructor(target: TlsTarget) {
    super({ keepAlive: true, maxSockets: 8 })
    this.#target = target
  }

  override createConnection(_options: unknown, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    void this.#open(callback)
  }

  async #open(callback: ((error: Error | null, stream: Duplex) => void) | undefined): Promise<void> {
    const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS)
    try {
      const socket = await handshake(this.#target, signal)
      try {
        checkCertificate(this.#target, certificateOf(socket))
      } catch (error) {
        socket.destroy()
        throw error
      }
      callback?.(null, socket)
    } catch (error) {
      // Node's type demands a stream beside the error; its implementation looks at neither end of it then.
      callback?.(error instanceof Error ? error : new Error(String(error)), new Socket())
    }
  }
}

/** A finished TLS handshake, whatever the certificate. The caller looks at the certificate before anything else and owns the socket. */
async function handshake(target: TlsTarget, signal: AbortSignal): Promise<TLSSocket> {
  signal.throwIfAborted()
  return await new Promise<TLSSocket>((resolve, reject) => {
    const socket = connect({
      host: target.host, port: target.port, ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
      // The verdict is read from the socket right after the handshake, so that it can be shown with subject and thumbprint.
      rejectUnauthorized: false,
      ca: [...getCACertificates('default'), ...getCACertificates('system'), ...target.trustedCas ?? []],
    })
    const settle = (): void => { signal.removeEventListener('abort', stop) }
    const fail = (error: Error): void => {
      settle()
      socket.destroy()
      reject(new AppError('VSPHERE_UNREACHABLE', `cannot reach ${target.host}:${String(target.port)}: ${error.message}`, { cause: error }))
    }
    const stop = (): void => {
      if (signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError') { fail(new Error('no answer in time')); return }
      settle()
      socket.destroy()
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', stop, { once: true })
    socket.once('error', fail)
    socket.once('secureConnect', () => {
      settle()
      socket.removeListener('error', fail)
      resolve(socket)
    })
  })
}

function certificateOf(socket: TLSSocket): ServerCertificate {
  const shown = socket.getPeerCertificate()
  const subject = Object.entries(shown.subject).map(([key, value]) => `${key}=${String(value)}`).join(', ')
  const why = String(socket.authorizationError)
  const reason = socket.authorized ? '' : REASONS[why] ?? why
  return { subject, thumbprint: shown.fingerprint256, verified: socket.authorized, reason }
}
