/** EC P-256 keys and requests for certificates. A private key is PKCS#8 PEM; it leaves the machine that made it in no form. */
import 'reflect-metadata' // @peculiar/x509 needs it before it is loaded
import * as x509 from '@peculiar/x509'
import { createPublicKey, webcrypto, X509Certificate } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'

export const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const
export const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const

export interface KeyAndRequest { keyPem: string, csrPem: string }

/** A new key and a PKCS#10 request for it. The name in the request is a wish: the authority gives the real one. */
export async function makeKeyAndCsr(commonName: string): Promise<KeyAndRequest> {
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name: [{ CN: [commonName] }], keys, signingAlgorithm: SIGNING }, webcrypto)
  return { keyPem: await exportPrivateKey(keys.privateKey), csrPem: `${csr.toString('pem')}\n` }
}

/**
 * The public key of a request that proves that its sender has the private one.
 * @throws {AppError} REQUEST_INVALID
 */
export async function checkedRequestKey(csrPem: string): Promise<x509.PublicKey> {
  try {
    const csr = new x509.Pkcs10CertificateRequest(csrPem)
    const key = createPublicKey({ key: Buffer.from(csr.publicKey.rawData), format: 'der', type: 'spki' })
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new TypeError('its key is not EC P-256')
    if (!await csr.verify(webcrypto)) throw new TypeError('its signature is wrong')
    return csr.publicKey
  } catch (error) {
    throw new AppError('REQUEST_INVALID', `the certificate request cannot be used: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

export async function exportPrivateKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`
}

export async function importPrivateKey(pem: string): Promise<webcrypto.CryptoKey> {
  return await webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), KEY_ALGORITHM, true, ['sign'])
}

/** SHA-256 of a certificate, lower-case hex: what a person compares, and what pins the authority. */
export function caSha256(certificatePem: string): string {
  return new X509Certificate(certificatePem).fingerprint256.replaceAll(':', '').toLowerCase()
}
