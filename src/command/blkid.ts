/** What lies on a block device, read from the device itself: `blkid -p -o export`. */
import type { Runner } from './runner.ts'

/** Signatures of a device; '' where there is none. */
export interface Signature {
  /** ext4, xfs, swap, LVM2_member, crypto_LUKS ...; '' when nothing is recognised */
  type: string
  uuid: string
  label: string
  /** swap: 1; vfat: FAT32; LUKS: 2 */
  version: string
  /** partition table on the device: gpt, dos ... */
  partitionTable: string
  partitionUuid: string
  partitionLabel: string
  /** smallest unit of the file system; 512 when it is not told (tools before 2.37) */
  blockSizeBytes: number
}

const TIMEOUT_MS = 30_000
const NOTHING_FOUND = 2

/** Probes `device`; nothing recognised is an answer with empty fields. @throws {AppError} what Runner throws */
export async function probeDevice(runner: Runner, device: string, signal: AbortSignal): Promise<Signature> {
  const { stdout } = await runner.run('blkid', ['-p', '-o', 'export', '--', device], { signal, timeoutMs: TIMEOUT_MS, allowedExitCodes: [NOTHING_FOUND] })
  const values = new Map<string, string>()
  for (const line of stdout.split('\n')) {
    const at = line.indexOf('=')
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1).replace(/\\(.)/gs, '$1')) // export puts a backslash before what a shell would read
  }
  const value = (key: string): string => values.get(key) ?? ''
  return {
    type: value('TYPE'), uuid: value('UUID'), label: value('LABEL'), version: value('VERSION'), partitionTable: value('PTTYPE'),
    partitionUuid: value('PART_ENTRY_UUID'), partitionLabel: value('PART_ENTRY_NAME'), blockSizeBytes: Number(/^\d{1,6}$/.exec(value('BLOCK_SIZE'))?.[0] ?? 512),
  }
}
