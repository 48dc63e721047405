/** How an agent that enrols connects to the appliance's API: TLS 1.3, nobody but the pinned authority believed, never the system's. */
import { connect, type ConnectionOptions, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { AppError } from '../errors/app-error.ts'
import { caSha256 } from './key.ts'

export interface Identity { keyPem: string, certificatePem: string, caPem: string }

/** The name is free. That an agent's certificate does not pass for the appliance's is the purpose in it, which OpenSSL checks. */
function isServerCertificate(): undefined { return undefined }

/**
 * Connects to a server of which only the SHA-256 of its authority's certificate is known, and verifies that its chain ends in that
 * certificate before anything is sent. Returns the connection and the authority's certificate.
 * @throws {AppError} LINK_REFUSED when nothing answers there, PEER_UNTRUSTED when the chain ends elsewhere
 */
export async function connectPinned(host: string, port: number, pinSha256: string, signal: AbortSignal): Promise<{ socket: TLSSocket, caPem: string }> {
  const caPem = await fetchAuthority(host, port, pinSha256, signal)
  const socket = await handshake({ host, port, ca: caPem, rejectUnauthorized: true, minVersion: 'TLSv1.3', checkServerIdentity: isServerCertificate }, signal)
  return { socket, caPem }
}

/** Looks at the chain that the server shows, sends nothing, and gives the authority's certificate when it is the pinned one. */
async function fetchAuthority(host: string, port: number, pinSha256: string, signal: AbortSignal): Promise<string> {
  const socket = await handshake({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3' }, signal)
  try {
    const caPem = lastOfChain(socket.getPeerCertificate(true))
    const found = caSha256(caPem)
    if (found !== pinSha256.replaceAll(':', '').toLowerCase()) {
      throw new AppError('PEER_UNTRUSTED', `the appliance at ${host}:${String(port)} shows the authority ${found}, expected was ${pinSha256}`)
    }
    return caPem
  } finally {
    socket.destroy()
  }
}

function lastOfChain(leaf: DetailedPeerCertificate): string {
  let certificate = leaf
  // a self-signed certificate is its own issuer; a chain of this length is no chain of ours
  for (let i = 0; i < 8 && 'issuerCertificate' in certificate && certificate.issuerCertificate !== certificate; i++) certificate = certificate.issuerCertificate
  return `-----BEGIN CERTIFICATE-----\n${certificate.raw.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`
}

/**
 * Makes a TLS connection; resolves when the handshake is through on this side.
 * @throws {AppError} LINK_REFUSED when there is no connection, PEER_UNTRUSTED when the certificate is not believed. Abort closes it.
 */
async function handshake(options: ConnectionOptions, signal: AbortSignal): Promise<TLSSocket> {
  signal.throwIfAborted()
  return await new Promise<TLSSocket>((resolve, reject) => {
    const socket = connect(options)
    const stop = (): void => {
      socket.destroy()
      reject(signal.reason as Error)
    }
    const failed = (error: Error & { code?: string }): void => {
      signal.removeEventListener('abort', stop)
      socket.destroy()
      reject(refusal(`${String(options.host)}:${String(options.port)}`, error))
    }
    const closed = (): void => { failed(new Error('the connection was closed during the handshake')) }
    signal.addEventListener('abort', stop, { once: true })
    socket.once('error', failed)
    socket.once('close', closed)
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', stop)
      socket.off('error', failed)
      socket.off('close', closed)
      resolve(socket)
    })
  })
}

/** What OpenSSL and Node say when they do not believe a certificate. */
const UNTRUSTED = /CERT|SELF_SIGNED|ISSUER|PURPOSE|ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE/

function refusal(where: string, error: Error & { code?: string }): AppError {
  return UNTRUSTED.test(error.code ?? '')
    ? new AppError('PEER_UNTRUSTED', `${where} has no certificate that is trusted here: ${error.message}`, { cause: error })
    : new AppError('LINK_REFUSED', `cannot connect to ${where}: ${error.message}`, { cause: error })
}
