/** An authority in a directory of the test, with a server and agents, for tests of everything that talks TLS. */
import { openCertificateAuthority, type CertificateAuthority } from '../../../src/trust/certificate-authority.ts'
import { makeKeyAndCsr } from '../../../src/trust/key.ts'
import type { Identity } from '../../../src/trust/peer-tls.ts'

export async function testAuthority(directory: string, nowMs = Date.now()): Promise<{ authority: CertificateAuthority, server: Identity, agent: (commonName: string) => Promise<Identity> }> {
  const authority = await openCertificateAuthority(directory, nowMs)
  const caPem = authority.certificatePem
  return {
    authority,
    server: { ...await authority.issueServer(['localhost', '127.0.0.1']), caPem },
    agent: async commonName => {
      const { keyPem, csrPem } = await makeKeyAndCsr('any')
      return { keyPem, certificatePem: await authority.issueAgent(csrPem, commonName), caPem }
    },
  }
}
