/** What a btrfs is: `btrfs inspect-internal dump-super`, `btrfs subvolume list`, `btrfs filesystem df`. Reads only. */
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

export interface BtrfsSuperblock {
  label: string
  /** of the compatible-read-only and incompatible flags, in lower case with dashes: mixed-backref, no-holes, free-space-tree */
  features: string[]
  /** nodesize, sectorsize, checksum, devices: as `domain/volume.ts` lists them */
  properties: Record<string, string>
}

export interface BtrfsSubvolume { id: number, path: string }

const TIMEOUT_MS = 60_000
const MAX_SUBVOLUMES = 100_000

/** Reads the superblock of `device`, also while it is mounted. @throws {AppError} TOOL_OUTPUT when needed lines are missing; what Runner throws */
export async function readBtrfsSuperblock(runner: Runner, device: string, signal: AbortSignal): Promise<BtrfsSuperblock> {
  const { stdout } = await runner.run('btrfs', ['inspect-internal', 'dump-super', device], { signal, timeoutMs: TIMEOUT_MS })
  const value = (key: string): string | undefined => new RegExp(`^${key}[ \\t]+(.*)$`, 'm').exec(stdout)?.[1]?.trim()
  const need = (key: string): string => {
    const found = value(key)
    if (found === undefined || !/^\d+$/.test(found)) throw new AppError('TOOL_OUTPUT', `btrfs names no ${key} for ${device}`)
    return found
  }
  return {
    label: value('label') ?? '', features: [...flags(stdout, 'compat_ro_flags'), ...flags(stdout, 'incompat_flags')],
    properties: { nodesize: need('nodesize'), sectorsize: need('sectorsize'), checksum: /\((\w+)\)/.exec(value('csum_type') ?? '')?.[1] ?? 'crc32c', devices: need('num_devices') },
  }
}

/** Names between the brackets below the line. */
function flags(text: string, key: string): string[] {
  const names = new RegExp(`^${key}[ \\t]+0x[0-9a-f]+\\s*\\(([^)]*)\\)`, 'm').exec(text)?.[1]
  return names === undefined ? [] : names.split('|').map(name => name.trim().toLowerCase().replaceAll('_', '-')).filter(name => name !== '')
}

/** All subvolumes of the mounted file system, or only its snapshots; paths from its top. @throws {AppError} what Runner throws */
export async function listSubvolumes(runner: Runner, mountPoint: string, only: 'all' | 'snapshots', signal: AbortSignal): Promise<BtrfsSubvolume[]> {
  const { stdout } = await runner.run('btrfs', ['subvolume', 'list', ...only === 'snapshots' ? ['-s'] : [], mountPoint], { signal, timeoutMs: TIMEOUT_MS })
  return stdout.split('\n').slice(0, MAX_SUBVOLUMES).flatMap(line => {
    const [, id, path] = /^ID (\d+) .*? path (.+)$/.exec(line) ?? []
    return id === undefined || path === undefined ? [] : [{ id: Number(id), path: path.replace(/^<FS_TREE>\//, '') }]
  })
}

/** The subvolume that a plain mount shows; '' for the top. @throws {AppError} what Runner throws */
export async function defaultSubvolume(runner: Runner, mountPoint: string, signal: AbortSignal): Promise<string> {
  const { stdout } = await runner.run('btrfs', ['subvolume', 'get-default', mountPoint], { signal, timeoutMs: TIMEOUT_MS })
  return / path (.+)$/m.exec(stdout)?.[1]?.replace(/^<FS_TREE>\//, '') ?? ''
}

/** Profiles of data and metadata (single, DUP, RAID1 ...), '' when it does not say. @throws {AppError} what Runner throws */
export async function readProfiles(runner: Runner, mountPoint: string, signal: AbortSignal): Promise<{ data: string, metadata: string }> {
  const { stdout } = await runner.run('btrfs', ['filesystem', 'df', mountPoint], { signal, timeoutMs: TIMEOUT_MS })
  const profile = (kind: string): string => new RegExp(`^${kind}, (\\w+):`, 'm').exec(stdout)?.[1] ?? ''
  return { data: profile('Data') === '' ? profile('Data\\+Metadata') : profile('Data'), metadata: profile('Metadata') === '' ? profile('Data\\+Metadata') : profile('Metadata') }
}
