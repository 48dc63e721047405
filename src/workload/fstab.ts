/** The source's /etc/fstab. */
import type { Disk, Volume } from '../domain/volume.ts'
import type { Report } from './findings.ts'
import { unescapeOctal } from './mount-table.ts'
import type { SourceRoot } from './source-root.ts'

export interface FstabEntry { device: string, mountPoint: string, type: string, options: string[] }

const MAX_ENTRIES = 1000

export async function readFstab(root: SourceRoot): Promise<FstabEntry[]> {
  return parseFstab(await root.text('/etc/fstab') ?? '')
}

/** Lines that fstab(5) would take; others are skipped as mount(8) does. */
export function parseFstab(text: string): FstabEntry[] {
  return text.split('\n').flatMap(line => {
    const [device, mountPoint, type, options] = line.trim().split(/\s+/)
    if (device === undefined || device === '' || device.startsWith('#') || mountPoint === undefined || type === undefined) return []
    return [{ device: unescapeOctal(device), mountPoint: unescapeOctal(mountPoint), type, options: (options ?? 'defaults').split(',') }]
  }).slice(0, MAX_ENTRIES)
}

/**
 * Reports the lines whose device is on no disk of the source: the replica would wait for it at its boot, as the source would at its next one.
 * Lines with noauto or nofail do no harm.
 */
export function checkFstab(entries: readonly FstabEntry[], found: { volumes: readonly Volume[], disks: readonly Disk[] }, report: Report): void {
  const partitions = found.disks.flatMap(d => d.partitions)
  for (const entry of entries) {
    if (entry.options.includes('noauto') || entry.options.includes('nofail')) continue
    const [tag, quoted] = entry.device.split('=', 2)
    const value = quoted?.replaceAll('"', '').toLowerCase()
    if (tag === undefined || value === undefined) continue
    const known: Readonly<Record<string, readonly string[]>> = {
      UUID: found.volumes.map(v => v.fileSystem.uuid), LABEL: found.volumes.map(v => v.fileSystem.label),
      PARTUUID: partitions.map(p => p.uuid), PARTLABEL: partitions.map(p => p.name),
    }
    const names = known[tag]
    if (names === undefined || names.some(n => n.toLowerCase() === value)) continue
    report({
      code: 'FSTAB_DEVICE_MISSING', severity: 'warning', subject: entry.mountPoint,
      message: `/etc/fstab names ${entry.device} for ${entry.mountPoint}, which is on no disk of the source`,
      advice: 'Remove the line from /etc/fstab or add "nofail" to it: the replica would wait for the device at its boot.',
    })
  }
}
