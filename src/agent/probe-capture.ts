/** What of capture and freeze will work on this source, for its validation: nothing is started or changed. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { probeCaptureTier } from '../capture/capture-tier.ts'
import { chosenTier } from '../capture/choose-capture.ts'
import { checkQueueFolder, volumesBeside, type DiskQueue } from '../capture/disk-queue.ts'
import type { Workload } from '../domain/workload.ts'
import { isAppError } from '../errors/app-error.ts'
import { queueLimits, type AgentConfig } from './config.ts'

/** capabilities(7) */
const CAP_SYS_ADMIN = 21n

/** @param mountPoints of the source's volumes, below its root */
export async function probeCapture(config: Pick<AgentConfig, 'capture' | 'root' | 'queue'>, mountPoints: readonly string[]): Promise<Workload['capture']> {
  const { disk } = queueLimits(config.queue)
  const tier = config.capture === 'none'
    ? { tier: 'none' as const, reason: 'the agent is configured not to capture changes', unseen: [] }
    : chosenTier(config.capture, [config.root], () => probeCaptureTier([config.root]), disk)
  return { ...tier, mayFreeze: mayFreeze(await readFile('/proc/self/status', 'latin1')), ...disk === undefined ? {} : { queue: await probeQueue(disk, config.root, mountPoints) } }
}

/** By what proc(5) says of a process: freezing is for CAP_SYS_ADMIN. Pure. */
export function mayFreeze(status: string): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  return effective !== undefined && (BigInt(`0x${effective}`) >> CAP_SYS_ADMIN & 1n) === 1n
}

async function probeQueue(disk: DiskQueue, root: string, mountPoints: readonly string[]): Promise<NonNullable<Workload['capture']['queue']>> {
  const { folder } = disk
  try {
    await checkQueueFolder(disk)
  } catch (error) {
    if (!isAppError(error)) throw error
    return { folder, volumes: [], problem: { code: error.code, message: error.message } }
  }
  const found = await Promise.allSettled(mountPoints.map(async mountPoint => (await volumesBeside(folder, [join(root, mountPoint)])).length > 0))
  // one that cannot be looked at is the discovery's finding
  return { folder, volumes: mountPoints.filter((_, i) => found[i]?.status === 'fulfilled' && found[i].value) }
}
