/** The counter-proof: the disks of a source as they are, on the hardware of the replica. Were they to boot, the fix-ups would prove nothing. */
import { join } from 'node:path'
import { rm } from 'node:fs/promises'
import { diskArguments } from '../replica-machine.ts'
import type { RunDirectory } from '../run-directory.ts'
import { tool } from '../tool.ts'
import { firmwareArguments } from './firmware.ts'
import { startGuest } from './guest.ts'
import type { Check } from './replica-checks.ts'
import type { SourceGuest } from './source-guest.ts'

const BOOT_MS = 600_000
const MEMORY_MIB = 768

/** The source must be off. Nothing is written to its disks. */
export async function checkWithoutFixUp(run: RunDirectory, source: SourceGuest, signal: AbortSignal): Promise<Check> {
  const layers: string[] = []
  for (const [i, image] of [...new Set(source.volumes.map(v => join(source.directory, v.image)))].entries()) {
    const layer = join(run.path, `${source.o.hostName}-unfixed-${String(i)}.qcow2`)
    await rm(layer, { force: true })
    await tool('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', image, '-F', 'raw', layer])
    layers.push(layer)
  }
  const name = `${source.o.hostName}-unfixed`
  await using guest = await startGuest(run, {
    name, memoryMib: MEMORY_MIB, cpus: 1,
    arguments: [...await firmwareArguments(run, name, source.o.firmware), '-device', 'pvscsi,id=scsi0', ...diskArguments(source.o.firmware, layers.map((_, unit) => ({ serial: `unfixed-${String(unit)}`, controller: 0, unit })), layers)],
  }, signal)
  const [seen] = await guest.waitForConsole(/Dropping to a shell|\(initramfs\)|UEFI Interactive Shell|No bootable option| login: /, BOOT_MS)
  for (const layer of layers) await rm(layer, { force: true })
  return { check: 'without the fix-ups', ok: seen !== ' login: ', detail: seen === ' login: ' ? 'the source\'s own disks boot on the new hardware: this lab proves nothing' : `the source's own disks do not start on the new hardware: "${seen}"` }
}
