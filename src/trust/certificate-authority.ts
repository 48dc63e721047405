/**
 * The appliance's own certificate authority. It signs the appliance's server certificate and one client certificate per agent, whose
 * common name is the source's id. Promises: keys never leave the machine that made them (agents send a request), files are 0600 and whole.
 * It does not decide who may enrol.
 */
import { caSha256, checkedRequestKey, exportPrivateKey, importPrivateKey, KEY_ALGORITHM, SIGNING } from './key.ts'
import * as x509 from '@peculiar/x509'
import { randomBytes, webcrypto } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { writeFileAtomically } from './atomic-file.ts'

const CA_KEY_FILE = 'ca.key'
const CA_CERTIFICATE_FILE = 'ca.crt'
const DAY_MS = 86_400_000
const CA_VALID_MS = 3650 * DAY_MS
/** a migration is over within months; a long-lived agent enrols again */
const LEAF_VALID_MS = 825 * DAY_MS
/** clocks of sources run wrong */
const BACKDATE_MS = DAY_MS

/** `certificatePem` is the chain: the server's certificate, then the authority's, so that a peer who knows its hash alone can verify it. */
export interface IssuedServer { keyPem: string, certificatePem: string }

export interface CertificateAuthority {
  /** the CA's certificate, PEM */
  readonly certificatePem: string
  /** SHA-256 of the CA's certificate, lower-case hex */
  readonly sha256: string
  /** A new key and a certificate for a TLS server under these DNS names and IP addresses. */
  issueServer(names: readonly string[]): Promise<IssuedServer>
  /**
   * The certificate for the key of a PKCS#10 request, as a TLS client named `commonName`; what else the request asks for is ignored.
   * @throws {AppError} REQUEST_INVALID when the request is unreadable, not signed by its key, or of a weak key
   */
  issueAgent(csrPem: string, commonName: string): Promise<string>
}

/** The authority kept in `directory`; made there when it is missing. `nowMs` is the time from which new certificates count. */
export async function openCertificateAuthority(directory: string, nowMs: number): Promise<CertificateAuthority> {
  const keyPath = join(directory, CA_KEY_FILE)
  const certificatePath = join(directory, CA_CERTIFICATE_FILE)
  const certificatePem = await readIfPresent(certificatePath)
  if (certificatePem !== undefined) {
    const key = await importPrivateKey(await readFile(keyPath, 'utf8'))
    return authority(new x509.X509Certificate(certificatePem), key)
  }
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(), name: `CN=Landfall appliance CA ${randomBytes(4).toString('hex')}`,
    notBefore: new Date(nowMs - BACKDATE_MS), notAfter: new Date(nowMs + CA_VALID_MS), signingAlgorithm: SIGNING, keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  }, webcrypto)
  // the certificate last: when it is there, all is there
  await writeFileAtomically(keyPath, await exportPrivateKey(keys.privateKey))
  await writeFileAtomically(certificatePath, pem(certificate))
  return authority(certificate, keys.privateKey)
}

function authority(certificate: x509.X509Certificate, key: webcrypto.CryptoKey): CertificateAuthority {
  const issue = async (publicKey: x509.PublicKey, commonName: string, extensions: x509.Extension[]): Promise<string> => pem(await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(), subject: [{ CN: [commonName] }], issuer: certificate.subjectName,
    notBefore: new Date(Date.now() - BACKDATE_MS), notAfter: new Date(Math.min(Date.now() + LEAF_VALID_MS, certificate.notAfter.getTime())),
    signingAlgorithm: SIGNING, publicKey, signingKey: key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(certificate),
      ...extensions,
    ],
  }, webcrypto))
  return {
    certificatePem: pem(certificate),
    sha256: caSha256(pem(certificate)),
    async issueServer(names) {
      const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
      const leafPem = await issue(new x509.PublicKey(await webcrypto.subtle.exportKey('spki', keys.publicKey)), names[0] ?? 'landfall', [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(names.map(name => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name }))),
      ])
      return { keyPem: await exportPrivateKey(keys.privateKey), certificatePem: leafPem + pem(certificate) }
    },
    async issueAgent(csrPem, commonName) {
      return await issue(await checkedRequestKey(csrPem), commonName, [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])])
    },
  }
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}

/** 127 random bits: positive, and never the same twice. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0)
  return bytes.toString('hex')
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
