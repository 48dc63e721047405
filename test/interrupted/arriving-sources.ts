/** A receiver on loopback, with a certificate by the authority of a directory: the sources that connect to it, one after the other, without end. */
import { systemClock } from '../../src/clock/clock.ts'
import { linkLog } from '../../src/logging/logger.ts'
import { openLinkIdentity } from '../../src/posix/linking.ts'
import { openSourceListener } from '../../src/source/source-listener.ts'
import type { SourceServer } from '../../src/source/source-server.ts'
import { openCertificateAuthority } from '../../src/trust/certificate-authority.ts'
import { acceptTlsLink } from '../../src/wire/tls-link.ts'

export async function* arrivingSources(authorityDirectory: string, onListening: (port: number) => void): AsyncGenerator<SourceServer, never, void> {
  const authority = await openCertificateAuthority(authorityDirectory, systemClock.now())
  const identity = openLinkIdentity({ ...await authority.issueServer(['localhost', '127.0.0.1']), caPem: authority.certificatePem })
  const arrived: SourceServer[] = []
  let wake = (): void => undefined
  await using listener = await openSourceListener({
    host: '127.0.0.1', port: 0, openLink: async (socket, signal) => await acceptTlsLink(identity, socket, signal), isEnrolled: async () => true,
    onConnected: async server => { arrived.push(server); wake() }, applianceVersion: 'test', clock: systemClock, log: linkLog,
  })
  onListening(listener.port)
  for (;;) {
    const server = arrived.shift()
    if (server === undefined) await new Promise<void>(resolve => { wake = resolve })
    else yield server
  }
}
