/** A certificate of its own for a lab server, made at the start of the lab: for 127.0.0.1 and localhost, self-signed. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tool } from './tool.ts'

export interface LabCertificate {
  certificateFile: string
  keyFile: string
  certificate: string
  key: string
  /** SHA-256, upper-case hex pairs with colons */
  thumbprint: string
}

export async function makeCertificate(directory: string, name: string): Promise<LabCertificate> {
  const certificateFile = join(directory, `${name}.crt`)
  const keyFile = join(directory, `${name}.key`)
  await tool('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj', `/O=Landfall lab/CN=${name}`,
    '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', keyFile, '-out', certificateFile])
  const certificate = await readFile(certificateFile, 'utf8')
  return { certificateFile, keyFile, certificate, key: await readFile(keyFile, 'utf8'), thumbprint: new X509Certificate(certificate).fingerprint256 }
}
