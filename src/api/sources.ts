/** Source servers: the machines whose agents may connect. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { RenewToken } from '../domain/api.ts'
import { AddSource, EnrolmentOffer, SourceRecord } from '../domain/server.ts'
import { Workload } from '../domain/workload.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { Clock } from '../clock/clock.ts'
import type { JobEngine } from '../job/job-engine.ts'
import { offerEnrolment } from '../server/enrolment.ts'
import type { SourceStore } from '../server/server-store.ts'
import type { ConnectedSources } from '../source/source-server.ts'
import { endpoint, type Endpoint } from './endpoint.ts'
import { assertUnused } from './in-use.ts'

export interface SourceParts {
  engine: JobEngine
  sources: SourceStore
  connected: ConnectedSources
  clock: Pick<Clock, 'now'>
  /** SHA-256 of the certificate authority's certificate: with it the agent knows the appliance */
  caSha256: string
  /** "host:port" at which agents reach this API; known when it listens */
  publicAddress: () => string
}

export function sourceEndpoints(parts: SourceParts): Endpoint[] {
  const { engine, sources, connected, clock } = parts
  const offer = async (source: SourceRecord, validMs: number): Promise<EnrolmentOffer> => {
    const { token, expiresAtMs } = await offerEnrolment(sources, source, validMs, clock.now())
    // the token goes by the environment: arguments can be read by every user of the source
    const command = `LANDFALL_TOKEN=${token} landfall-agent enrol --appliance ${parts.publicAddress()} --ca-sha256 ${parts.caSha256}`
    return { source: seen(connected, source), token, caSha256: parts.caSha256, command, expiresAtUtc: new Date(expiresAtMs).toISOString() }
  }
  return [
    endpoint({ id: 'source.list', method: 'get', path: '/sources', summary: 'All source servers', access: 'monitor', status: 200, answer: z.array(SourceRecord) },
      async () => (await sources.list()).map(source => seen(connected, source))),

    endpoint({ id: 'source.add', method: 'post', path: '/sources', summary: 'Register a source server; again for one that has not enrolled yet: a new token', access: 'admin', status: 201, body: AddSource, answer: EnrolmentOffer },
      async ({ body }) => {
        const earlier = await find(sources, body.name)
        if (earlier?.status === 'awaiting-enrolment') return await offer(earlier, body.tokenValidMs)
        const source: SourceRecord = { version: 1, id: randomUUID(), name: body.name, status: 'awaiting-enrolment', createdAtUtc: new Date(clock.now()).toISOString() }
        await sources.insert(source)
        return await offer(source, body.tokenValidMs)
      }),

    endpoint({ id: 'source.show', method: 'get', path: '/sources/{source}', summary: 'One source server', access: 'monitor', status: 200, answer: SourceRecord },
      async ({ parameter }) => seen(connected, await sources.get(parameter('source')))),

    endpoint({ id: 'source.remove', method: 'delete', path: '/sources/{source}', summary: 'Forget a source server that no job uses', access: 'admin', status: 204 },
      async ({ parameter }) => {
        const source = await sources.get(parameter('source'))
        assertUnused(engine, job => job.source === source.id, source.name)
        await sources.remove(source.id)
        await connected.find(source.id)?.[Symbol.asyncDispose]()
      }),

    endpoint({ id: 'source.renew-token', method: 'post', path: '/sources/{source}/actions/renew-token', summary: 'A new token, for an agent that is installed anew', access: 'admin', status: 201, body: RenewToken, answer: EnrolmentOffer },
      async ({ parameter, body }) => await offer(await sources.get(parameter('source')), body.tokenValidMs)),

    endpoint({ id: 'source.workload', method: 'get', path: '/sources/{source}/workload', summary: 'What runs on the source, asked now', access: 'monitor', status: 200, answer: Workload },
      async ({ parameter, signal }) => {
        const source = await sources.get(parameter('source'))
        const connection = connected.find(source.id)
        if (connection === undefined) throw new AppError('SOURCE_NOT_CONNECTED', `the agent of ${source.name} is not connected`)
        return await connection.describe(signal)
      }),
  ]
}

/** Whether it is connected is known by the connection, not by the record. */
function seen(connected: ConnectedSources, source: SourceRecord): SourceRecord {
  if (source.status === 'awaiting-enrolment') return source
  const connection = connected.find(source.id)
  return connection === undefined ? { ...source, status: 'disconnected' } : { ...source, status: 'connected', agentVersion: connection.agentVersion }
}

async function find(sources: SourceStore, name: string): Promise<SourceRecord | undefined> {
  try {
    return await sources.get(name)
  } catch (error) {
    if (isAppError(error, 'SERVER_NOT_FOUND')) return undefined
    throw error
  }
}
