/**
 * C09: room for swap files. The kernel swaps to no file with holes, and a mirror makes a hole of what was allocated and never written (`fallocate`, as installers do). Their
 * identifiers came with their first page, and what else they hold is nobody's. It is done on the volumes, not in the layer: there each file would be copied whole, and room
 * without data is not brought over.
 */
import { allocate } from '../command/fallocate.ts'
import type { Runner } from '../command/runner.ts'
import type { Finding } from '../domain/finding.ts'
import type { Workload } from '../domain/workload.ts'
import { isAppError } from '../errors/app-error.ts'
import type { MountedVolume } from '../storage/volume-stack.ts'
import { localSwapFiles } from './fix-fstab.ts'
import { findingsOf } from './fix-up.ts'
import { ReplicaFiles } from './replica-files.ts'
import { volumeHolding } from './volume-holding.ts'

const ROW = { id: 'C09', title: 'give swap files their room' }

/**
 * Of the files that the source swapped to and of those in its fstab. May be repeated.
 * @returns what was done; a warning for each file that got no room: without its swap the replica boots
 */
export async function allocateSwapFiles(runner: Runner, mounted: readonly MountedVolume[], workload: Pick<Workload, 'volumes'>, signal: AbortSignal): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const running = workload.volumes.filter(v => v.fileSystem.properties['swapfile'] === 'yes').map(({ name }) => name)
  for (const path of new Set([...running, ...localSwapFiles(await fstabOf(mounted))])) {
    const at = volumeHolding(mounted, path)
    if (at === undefined) continue
    await using files = await ReplicaFiles.open(at.volume.mountPoint)
    try {
      const allocatedBytes = await files.fillHoles(at.path, async (file, sizeBytes) => { await allocate(runner, file, sizeBytes, signal) })
      if (allocatedBytes > 0) findings.push(...findingsOf({ ...ROW, outcome: 'done', messages: [`${path} has ${String(allocatedBytes)} bytes more of its disk, for its holes`] }))
    } catch (error) {
      signal.throwIfAborted()
      if (!isAppError(error)) throw error
      findings.push(...findingsOf({ ...ROW, outcome: 'failed', messages: [error.message] }))
    }
  }
  return findings
}

async function fstabOf(mounted: readonly MountedVolume[]): Promise<string> {
  const at = volumeHolding(mounted, '/etc/fstab')
  if (at === undefined) return ''
  await using files = await ReplicaFiles.open(at.volume.mountPoint)
  return await files.text(at.path) ?? ''
}
