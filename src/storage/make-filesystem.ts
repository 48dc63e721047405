/**
 * Makes one file system as it is on the source: features, geometry, UUID, label. First what will be made is decided (pure), then the device
 * is looked at, then it is done. An interrupted making is recognised and done again: ext carries a label of ours until its last write, XFS
 * has a flag for it, btrfs and FAT carry a label, too, swap is one write.
 */
import { open } from 'node:fs/promises'
import { probeDevice } from '../command/blkid.ts'
import { makeExt, makeSwap, makeXfs, type ExtOptions, type SwapOptions, type XfsOptions } from '../command/mkfs.ts'
import type { Runner } from '../command/runner.ts'
import { tuneExt, type ExtTuning } from '../command/tune2fs.ts'
import { listSignatures } from '../command/wipefs.ts'
import { XFS_FEATURES } from '../command/xfs-info.ts'
import type { FileSystem, Volume } from '../domain/volume.ts'
import { AppError } from '../errors/app-error.ts'
import { deviceSizeBytes } from './block-devices.ts'
import { fatRecipe, makeFatVolume, UNFINISHED_FAT_LABEL, whyFatNotMade, type FatRecipe } from './make-fat.ts'
import { btrfsRecipe, makeBtrfsVolume, whyBtrfsNotMade, type BtrfsRecipe } from './make-btrfs.ts'

export type FileSystemRecipe =
  | { kind: 'ext', options: ExtOptions, tuning: ExtTuning }
  | { kind: 'xfs', options: XfsOptions, old: boolean }
  | { kind: 'btrfs', recipe: BtrfsRecipe }
  | { kind: 'fat', recipe: FatRecipe }
  | { kind: 'swap', options: SwapOptions }

const UNFINISHED_LABEL = 'landfall-new'
/** sb_inprogress in the first sector of an XFS: set while mkfs runs. */
const XFS_IN_PROGRESS_OFFSET = 126
const MIB = 1 << 20
/** Below these mkfs.xfs wants to be told twice. */
const XFS_SMALLEST_BYTES = 300 * MIB
const XFS_SMALLEST_LOG_BYTES = 64 * MIB
/** Of an ext file system without 64bit. */
const MOST_BLOCKS_32 = 2 ** 32 - 1

/** Features that mke2fs of the appliance can set and that mean the same on the replica. Others are refused: the copy would not be what the source is. */
export const EXT_FEATURES: ReadonlySet<string> = new Set([
  '64bit', 'casefold', 'dir_index', 'dir_nlink', 'ea_inode', 'ext_attr', 'extent', 'extents', 'extra_isize', 'fast_commit', 'filetype', 'flex_bg', 'has_journal',
  'huge_file', 'inline_data', 'large_dir', 'large_file', 'meta_bg', 'metadata_csum', 'metadata_csum_seed', 'mmp', 'orphan_file', 'project', 'quota',
  'resize_inode', 'sparse_super', 'sparse_super2', 'stable_inodes', 'uninit_bg', 'verity',
])

/** Why the replica's appliance cannot make this file system, or undefined when it can. Pure; validation asks it before a job starts. */
export function whyNotMade({ fileSystem }: Volume): string | undefined {
  switch (fileSystem.type) {
    case 'ext2': case 'ext3': case 'ext4': {
      const unknown = fileSystem.features.filter(f => !EXT_FEATURES.has(f))
      return unknown.length === 0 ? undefined : `its features ${unknown.join(', ')} cannot be re-created`
    }
    case 'xfs': {
      const unknown = fileSystem.features.filter(f => f.endsWith('=1') && !XFS_FEATURES.has(f.slice(0, -2)))
      if (unknown.length > 0) return `its features ${unknown.map(f => f.slice(0, -2)).join(', ')} cannot be re-created`
      if (fileSystem.properties['log'] === 'external') return 'it has its log on another device'
      return Number(fileSystem.properties['rtextents'] ?? 0) > 0 ? 'it has a realtime section' : undefined
    }
    case 'swap': return undefined
    case 'btrfs': return whyBtrfsNotMade(fileSystem)
    case 'vfat': return whyFatNotMade(fileSystem)
    case 'unsupported': return `file systems of type ${fileSystem.typeName} cannot be re-created`
  }
}

/** What has to be made for `volume` on a device of `sizeBytes`. Pure. @throws {AppError} SOURCE_UNSUPPORTED */
export function recipeFor(volume: Volume, sizeBytes: number): FileSystemRecipe {
  const reason = whyNotMade(volume)
  if (reason !== undefined) throw new AppError('SOURCE_UNSUPPORTED', `cannot make the file system of ${volume.name}: ${reason}`)
  const { fileSystem } = volume
  if (fileSystem.type === 'xfs') return xfsRecipe(volume, sizeBytes)
  if (fileSystem.type === 'btrfs') return { kind: 'btrfs', recipe: btrfsRecipe(fileSystem, UNFINISHED_LABEL) }
  if (fileSystem.type === 'vfat') return { kind: 'fat', recipe: fatRecipe(fileSystem) }
  if (fileSystem.type !== 'swap') return extRecipe(volume, sizeBytes)
  const page = optional(fileSystem.properties['pageSizeBytes'])
  return { kind: 'swap', options: { uuid: fileSystem.uuid, label: fileSystem.label, ...(page === undefined ? {} : { pageSizeBytes: page }) } }
}

/**
 * @param placeBelow a directory of the appliance's own, see make-btrfs.ts
 * @throws {AppError} VOLUME_LAYOUT when the device holds something else; SOURCE_UNSUPPORTED; TOOL_FAILED
 */
export async function makeFileSystem(runner: Runner, device: string, volume: Volume, placeBelow: string, signal: AbortSignal): Promise<void> {
  const recipe = recipeFor(volume, await deviceSizeBytes(device))
  if (await holdsFileSystem(runner, device, volume, signal) === 'yes') return
  signal.throwIfAborted()
  switch (recipe.kind) {
    case 'ext':
      await makeExt(runner, device, { ...recipe.options, label: UNFINISHED_LABEL }, signal)
      await tuneExt(runner, device, recipe.tuning, signal)
      return
    case 'xfs': await makeXfs(runner, device, recipe.options, recipe.old, signal); return
    case 'btrfs': await makeBtrfsVolume(runner, device, recipe.recipe, placeBelow, signal); return
    case 'fat': await makeFatVolume(runner, device, recipe.recipe, signal); return
    case 'swap': await makeSwap(runner, device, recipe.options, signal)
  }
}

/**
 * Whether the device holds the file system of `volume`: by type, UUID and label.
 * @throws {AppError} VOLUME_LAYOUT when it holds something else
 */
export async function holdsFileSystem(runner: Runner, device: string, volume: Volume, signal: AbortSignal): Promise<'yes' | 'no'> {
  const { fileSystem } = volume
  const found = await probeDevice(runner, device, signal)
  if (found.type === '' && found.partitionTable === '' && (await listSignatures(runner, device, signal)).length === 0) return 'no'
  const same = found.uuid.toLowerCase() === fileSystem.uuid.toLowerCase() && family(found.type) === family(fileSystem.type)
  if (same && found.type !== 'xfs' && found.label === (found.type === 'vfat' ? UNFINISHED_FAT_LABEL : UNFINISHED_LABEL)) return 'no'
  if (same && found.type === 'xfs' && await xfsUnfinished(device)) return 'no'
  if (same && found.label === fileSystem.label) return 'yes'
  const what = found.type === '' ? 'something that is not recognised' : `${found.type} ${found.uuid} "${found.label}"`
  throw new AppError('VOLUME_LAYOUT', `${device} holds ${what}, planned is ${fileSystem.type} ${fileSystem.uuid} "${fileSystem.label}" of ${volume.name}; nothing was written`)
}

/** blkid tells ext2, ext3 and ext4 apart by features; which one it is called is no difference in what it is. */
function family(type: string): string {
  return /^ext[234]$/.test(type) ? 'ext' : type
}

async function xfsUnfinished(device: string): Promise<boolean> {
  await using handle = await open(device, 'r')
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, XFS_IN_PROGRESS_OFFSET)
  return buffer[0] !== 0
}

function extRecipe({ name, fileSystem }: Volume, sizeBytes: number): FileSystemRecipe {
  const { properties, blockSizeBytes, features } = fileSystem
  const blockCount = fitting(name, required(fileSystem.properties, 'blockCount', name), blockSizeBytes, sizeBytes)
  const journal = features.includes('has_journal') ? optional(properties['journalSizeBytes']) : undefined
  const blocksPerGroup = optional(properties['blocksPerGroup'])
  const flexBlockGroupSize = features.includes('flex_bg') ? optional(properties['flexBlockGroupSize']) : undefined
  const errors = properties['errorsBehavior']
  const quotas = features.includes('quota') ? (properties['quotas'] ?? '').split(' ').filter(name => ['usr', 'grp', 'prj'].includes(name)) : []
  const largest = largestBlockCount(fileSystem, blockCount)
  return {
    kind: 'ext',
    options: {
      features, uuid: fileSystem.uuid, label: fileSystem.label, blockSizeBytes, inodeSizeBytes: fileSystem.inodeSizeBytes,
      blockCount, inodeCount: required(properties, 'inodeCount', name),
      ...(blocksPerGroup === undefined ? {} : { blocksPerGroup }),
      ...(flexBlockGroupSize === undefined ? {} : { flexBlockGroupSize }),
      ...(journal === undefined ? {} : { journalSizeMiB: Math.max(1, Math.ceil(journal / MIB)) }),
      ...(properties['hashSeed'] === undefined ? {} : { hashSeed: properties['hashSeed'] }),
      ...(quotas.length === 0 ? {} : { quotas }),
      ...(largest === undefined ? {} : { largestBlockCount: largest }),
    },
    tuning: {
      label: fileSystem.label, reservedBlockCount: optional(properties['reservedBlockCount']) ?? 0,
      defaultMountOptions: (properties['defaultMountOptions'] ?? '').split(/[\s,]+/).filter(word => word !== ''),
      errorsBehavior: errors === 'remount-ro' || errors === 'panic' ? errors : 'continue',
      maximumMountCount: optional(properties['maximumMountCount']) ?? -1, checkIntervalSeconds: optional(properties['checkIntervalSeconds']) ?? 0,
      ...(properties['directoryHash'] === undefined || !features.includes('dir_index') ? {} : { directoryHash: properties['directoryHash'] }),
    },
  }
}

/**
 * The size for which mke2fs reserves as many blocks for group descriptors as the source has left: growing it used some of them. It counts groups
 * as here. A source with the feature and nothing left gets what mke2fs chooses: none cannot be asked for.
 */
function largestBlockCount({ features, properties, blockSizeBytes }: FileSystem, blockCount: number): number | undefined {
  const reserved = optional(properties['reservedGdtBlocks']) ?? 0
  if (!features.includes('resize_inode') || reserved <= 0) return undefined
  const blocksPerGroup = optional(properties['blocksPerGroup']) ?? blockSizeBytes * 8
  const blocksPerDescriptorBlock = blockSizeBytes / (features.includes('64bit') ? 64 : 32) * blocksPerGroup
  const smallest = (Math.ceil(blockCount / blocksPerDescriptorBlock) + reserved - 1) * blocksPerDescriptorBlock + 1
  return features.includes('64bit') ? smallest : Math.min(smallest, MOST_BLOCKS_32)
}

function xfsRecipe({ name, fileSystem }: Volume, sizeBytes: number): FileSystemRecipe {
  const { properties, blockSizeBytes } = fileSystem
  const has = new Map(fileSystem.features.map((f): [string, string] => { const at = f.indexOf('='); return [f.slice(0, at), f.slice(at + 1)] }))
  const v5 = has.get('crc') !== '0'
  const flag = (key: string): string => `${key}=${has.get(key) ?? '0'}` // a key the source's tool does not know is one its kernel does not know
  const given = (key: string, value: string | undefined): readonly string[] => value === undefined ? [] : [`${key}=${value}`]
  const blocks = optional(properties['blocks'])
  if (blocks !== undefined) fitting(name, blocks, blockSizeBytes, sizeBytes)
  const logBlocks = optional(properties['log-blocks'])
  const agsize = optional(properties['agsize']) // not agcount: after a growfs the last group is shorter, and only this gives the same groups
  return {
    kind: 'xfs',
    old: (blocks === undefined ? sizeBytes : blocks * blockSizeBytes) < XFS_SMALLEST_BYTES || (logBlocks !== undefined && logBlocks * blockSizeBytes < XFS_SMALLEST_LOG_BYTES) || properties['agcount'] === '1',
    options: {
      uuid: fileSystem.uuid, label: fileSystem.label, blockSizeBytes, inodeSizeBytes: fileSystem.inodeSizeBytes, sectorSizeBytes: optional(properties['sectsz']) ?? 512,
      metadata: v5 ? ['crc=1', ...['finobt', 'rmapbt', 'reflink', 'bigtime', 'inobtcount'].map(flag)] : ['crc=0', 'finobt=0', 'reflink=0'],
      inode: [...(v5 ? [flag('sparse'), flag('nrext64')] : [...given('attr', has.get('attr')), ...given('projid32bit', has.get('projid32bit'))]), ...given('maxpct', properties['imaxpct'])],
      naming: [`version=${has.get('ascii-ci') === '1' ? 'ci' : '2'}`, ...(v5 ? [] : [flag('ftype')]), ...given('size', properties['naming-bsize'])],
      log: [...(logBlocks === undefined ? [] : [`size=${String(logBlocks)}b`]), ...(v5 ? [] : [...given('version', properties['log-version']), ...given('lazy-count', has.get('lazy-count'))])],
      data: [...(blocks === undefined ? [] : [`size=${String(blocks)}b`]), ...(agsize === undefined ? [] : [`agsize=${String(agsize)}b`])],
    },
  }
}

function fitting(name: string, blocks: number, blockSizeBytes: number, sizeBytes: number): number {
  if (blocks * blockSizeBytes > sizeBytes) {
    throw new AppError('VOLUME_LAYOUT', `the file system of ${name} has ${String(blocks * blockSizeBytes)} bytes and does not fit on a device of ${String(sizeBytes)}`)
  }
  return blocks
}

function required(properties: Readonly<Record<string, string>>, key: string, name: string): number {
  const value = optional(properties[key])
  if (value === undefined) throw new AppError('SOURCE_UNSUPPORTED', `the description of ${name} does not say its ${key}`)
  return value
}

function optional(value: string | undefined): number | undefined {
  return value === undefined || !/^-?\d+$/.test(value) ? undefined : Number(value)
}
