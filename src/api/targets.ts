/** VMware servers: where replicas are built. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../clock/clock.ts'
import { AddVmware, VmwareRecord } from '../domain/server.ts'
import { Places } from '../domain/target.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import type { JobEngine } from '../job/job-engine.ts'
import type { VmwareStore } from '../server/server-store.ts'
import { endpoint, type Endpoint } from './endpoint.ts'
import { assertUnused } from './in-use.ts'

/** What a VMware server is found to be; thumbprint '' when the system's authorities vouch for its certificate. */
export interface VmwareIdentity { thumbprint: string, product: string, apiVersion: string }

export interface TargetParts {
  engine: JobEngine
  vmware: VmwareStore
  clock: Pick<Clock, 'now'>
  /**
   * Looks at the certificate and logs in.
   * @throws {AppError} CERTIFICATE_UNTRUSTED showing the thumbprint to accept, VSPHERE_LOGIN, VSPHERE_UNREACHABLE
   */
  probeVmware: (server: AddVmware, signal: AbortSignal) => Promise<VmwareIdentity>
  openHypervisor: (vmwareId: string, signal: AbortSignal) => Promise<Hypervisor>
  /** Ends the connection to a server that is removed. */
  closeHypervisor: (vmwareId: string) => Promise<void>
}

export function targetEndpoints({ engine, vmware, clock, probeVmware, openHypervisor, closeHypervisor }: TargetParts): Endpoint[] {
  return [
    endpoint({ id: 'vmware.list', method: 'get', path: '/vmware', summary: 'All VMware servers', access: 'monitor', status: 200, answer: z.array(VmwareRecord) },
      async () => [...await vmware.list()]),

    endpoint({ id: 'vmware.add', method: 'post', path: '/vmware', summary: 'Add a VMware server; the login is tried first', access: 'admin', status: 201, body: AddVmware, answer: VmwareRecord },
      async ({ body, signal }) => {
        if (await exists(vmware, body.name)) throw new AppError('SERVER_EXISTS', `there is a server named ${body.name}`)
        const identity = await probeVmware(body, signal)
        const record: VmwareRecord = {
          version: 1, id: randomUUID(), name: body.name, host: body.host, port: body.port, user: body.user, ...identity, createdAtUtc: new Date(clock.now()).toISOString(),
        }
        await vmware.insert(record, body.password)
        return record
      }),

    endpoint({ id: 'vmware.show', method: 'get', path: '/vmware/{vmware}', summary: 'One VMware server', access: 'monitor', status: 200, answer: VmwareRecord },
      async ({ parameter }) => await vmware.get(parameter('vmware'))),

    endpoint({ id: 'vmware.remove', method: 'delete', path: '/vmware/{vmware}', summary: 'Forget a VMware server that no job uses', access: 'admin', status: 204 },
      async ({ parameter }) => {
        const server = await vmware.get(parameter('vmware'))
        assertUnused(engine, job => job.vmware === server.id, server.name)
        await vmware.remove(server.id)
        await closeHypervisor(server.id)
      }),

    endpoint({ id: 'vmware.places', method: 'get', path: '/vmware/{vmware}/places', summary: 'Datastores and networks for replicas, asked now', access: 'monitor', status: 200, answer: Places },
      async ({ parameter, signal }) => {
        const server = await vmware.get(parameter('vmware'))
        await using hypervisor = await openHypervisor(server.id, signal)
        return await hypervisor.places(signal)
      }),
  ]
}

async function exists(vmware: VmwareStore, name: string): Promise<boolean> {
  try {
    await vmware.get(name)
    return true
  } catch (error) {
    if (isAppError(error, 'SERVER_NOT_FOUND')) return false
    throw error
  }
}
