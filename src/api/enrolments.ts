/** An agent's first call: a one-time token and a certificate request for a certificate. */
import type { Clock } from '../clock/clock.ts'
import { Enrol, Enrolled } from '../domain/server.ts'
import { AppError } from '../errors/app-error.ts'
import { useEnrolmentToken } from '../server/enrolment.ts'
import type { SourceStore } from '../server/server-store.ts'
import type { CertificateAuthority } from '../trust/certificate-authority.ts'
import { checkedRequestKey } from '../trust/key.ts'
import { PROTOCOL_VERSION } from '../wire/messages.ts'
import { endpoint, type Endpoint } from './endpoint.ts'

export interface EnrolmentParts { sources: SourceStore, clock: Pick<Clock, 'now'>, authority: CertificateAuthority, replicationPort: () => number }

export function enrolmentEndpoints({ sources, clock, authority, replicationPort }: EnrolmentParts): Endpoint[] {
  return [
    endpoint({ id: 'source.enrol', method: 'post', path: '/enrolments', summary: 'A certificate for an agent, for a one-time token', access: 'public', status: 201, body: Enrol, answer: Enrolled },
      async ({ body }) => {
        // what can be wrong without the token's fault must not use it up
        if (body.protocolVersion !== PROTOCOL_VERSION) {
          throw new AppError('PROTOCOL_VERSION', `the agent speaks protocol version ${String(body.protocolVersion)}, this appliance ${String(PROTOCOL_VERSION)}`)
        }
        await checkedRequestKey(body.csr)
        const source = await useEnrolmentToken(sources, body.token, clock.now())
        const certificate = await authority.issueAgent(body.csr, source.id)
        await sources.update({ ...source, status: 'disconnected', agentVersion: body.agentVersion, enrolledAtUtc: new Date(clock.now()).toISOString() })
        return { sourceId: source.id, certificate, ca: authority.certificatePem, replicationPort: replicationPort() }
      }),
  ]
}
