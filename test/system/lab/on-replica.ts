/** A replica that is replicated to, seen from the appliance, and waiting for it. */
import { join } from 'node:path'
import type { JobView } from '../../../src/domain/job.ts'
import type { Lab } from '../../lab/lab.ts'

export async function until<T>(what: string, signal: AbortSignal, look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    if (signal.aborted) throw new Error(`waited in vain for ${what}`)
    const found = await look()
    if (found !== undefined) return found
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** The job protects, and nothing of a cutover is left. */
export async function untilProtecting(view: () => Promise<JobView>, signal: AbortSignal): Promise<JobView> {
  return await until('the job to protect again', signal, async () => {
    const job = await view()
    return job.state === 'protecting' && job.cutoverSteps.length === 0 ? job : undefined
  })
}

/** Where the appliance has mounted what is at `path`. */
export function onReplica(lab: Lab, job: JobView, path: string): string {
  const at = (job.plan?.volumes ?? []).flatMap(({ index, volume: { mountPoint } }) => (index >= 0 && mountPoint !== undefined && `${path}/`.startsWith(mountPoint.replace(/\/?$/, '/')) ? [{ index, mountPoint }] : []))
    .sort((a, b) => b.mountPoint.length - a.mountPoint.length)[0]
  return join(lab.run.path, 'appliance/replicas', job.id, `volume-${String(at?.index ?? 0)}`, path.slice(at?.mountPoint.replace(/\/$/, '').length ?? 0))
}
