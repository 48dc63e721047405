/** The superblock of an ext2/3/4 file system: `dumpe2fs -h`. Reads the device, also while it is mounted. */
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

export interface ExtSuperblock {
  uuid: string
  label: string
  blockSizeBytes: number
  inodeSizeBytes: number
  /** names of "Filesystem features", without those that only tell that the file system is mounted or was not unmounted */
  features: string[]
  /** keys as `domain/volume.ts` lists them for ext */
  properties: Record<string, string>
}

const TIMEOUT_MS = 60_000

/** Set while mounted, gone after a clean unmount: state, not a feature to make a file system with. */
const STATE_FLAGS = new Set(['needs_recovery', 'orphan_present'])

const UNIT_BYTES: Readonly<Record<string, number>> = { '': 1, k: 1024, M: 1 << 20, G: 2 ** 30 }

/** key of the record: line of the tool */
const PLAIN = {
  inodeCount: 'Inode count', blockCount: 'Block count', reservedBlockCount: 'Reserved block count', inodesPerGroup: 'Inodes per group',
  blocksPerGroup: 'Blocks per group', reservedGdtBlocks: 'Reserved GDT blocks', flexBlockGroupSize: 'Flex block group size',
  groupDescriptorSize: 'Group descriptor size', hashSeed: 'Directory Hash Seed', directoryHash: 'Default directory hash',
  maximumMountCount: 'Maximum mount count', state: 'Filesystem state', raidStride: 'RAID stride', raidStripeWidth: 'RAID stripe width',
} as const

/** name of the record: line of the tool, which is there when the file system has this quota inside */
const QUOTAS = [['usr', 'User quota inode'], ['grp', 'Group quota inode'], ['prj', 'Project quota inode']] as const

/**
 * Reads the superblock of `device`.
 * @throws {AppError} TOOL_OUTPUT when needed lines are missing; TOOL_FAILED when the device holds no ext file system; what Runner throws
 */
export async function readExtSuperblock(runner: Runner, device: string, signal: AbortSignal): Promise<ExtSuperblock> {
  const { stdout } = await runner.run('dumpe2fs', ['-h', device], { signal, timeoutMs: TIMEOUT_MS })
  const lines = new Map<string, string>()
  for (const line of stdout.split('\n')) {
    const at = line.indexOf(':')
    const key = line.slice(0, at)
    if (at > 0 && !lines.has(key)) lines.set(key, line.slice(at + 1).trim())
  }
  const need = (key: string): string => {
    const value = lines.get(key)
    if (value === undefined) throw new AppError('TOOL_OUTPUT', `dumpe2fs names no "${key}" for ${device}`)
    return value
  }
  const number = (key: string): number => {
    const value = Number(need(key))
    if (!Number.isSafeInteger(value) || value < 0) throw new AppError('TOOL_OUTPUT', `dumpe2fs names no number for "${key}" of ${device}`)
    return value
  }
  const blockSizeBytes = number('Block size')
  number('Block count')
  number('Inode count')
  return {
    uuid: none(need('Filesystem UUID')), label: none(need('Filesystem volume name')), blockSizeBytes,
    inodeSizeBytes: lines.has('Inode size') ? number('Inode size') : 128, // revision 0 has no such line: 128 by definition
    features: none(need('Filesystem features')).split(/\s+/).filter(f => f !== '' && !STATE_FLAGS.has(f)),
    properties: properties(lines, blockSizeBytes),
  }
}

function properties(lines: ReadonlyMap<string, string>, blockSizeBytes: number): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [key, line] of Object.entries(PLAIN)) {
    const value = lines.get(line)
    if (value !== undefined) found[key] = value
  }
  found['defaultMountOptions'] = none(lines.get('Default mount options') ?? '')
  const journal = journalBytes(lines, blockSizeBytes)
  if (journal !== undefined) found['journalSizeBytes'] = String(journal)
  const quotas = QUOTAS.filter(([, line]) => lines.has(line)).map(([name]) => name)
  if (quotas.length > 0) found['quotas'] = quotas.join(' ')
  const errors = lines.get('Errors behavior')?.toLowerCase()
  found['errorsBehavior'] = errors === 'remount read-only' ? 'remount-ro' : errors === 'panic' ? 'panic' : 'continue'
  const interval = /^\d+/.exec(lines.get('Check interval') ?? '')?.[0]
  if (interval !== undefined) found['checkIntervalSeconds'] = interval
  return found
}

/** Blocks are exact ("Total journal blocks", 1.46 and later; "Journal length" before); the size in words is rounded but all that some versions print. */
function journalBytes(lines: ReadonlyMap<string, string>, blockSizeBytes: number): number | undefined {
  const blocks = Number(lines.get('Total journal blocks') ?? lines.get('Journal length') ?? Number.NaN)
  if (Number.isSafeInteger(blocks) && blocks > 0) return blocks * blockSizeBytes
  const size = /^(\d+)([kMG]?)$/.exec(lines.get('Total journal size') ?? lines.get('Journal size') ?? '')
  const unit = UNIT_BYTES[size?.[2] ?? '']
  return size?.[1] === undefined || unit === undefined ? undefined : Number(size[1]) * unit
}

function none(value: string): string {
  return value === '<none>' || value === '(none)' ? '' : value
}
