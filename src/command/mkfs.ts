/**
 * Makes file systems with exactly the properties asked for, never with the appliance's own defaults: `mkfs.ext4`, `mkfs.xfs`, `mkfs.btrfs`, `mkfs.vfat`, `mkswap`.
 * Each overwrites what is on the device; whether that may be is the caller's decision (`storage/make-filesystem.ts`).
 */
import { runAlone } from './alone.ts'
import type { Runner } from './runner.ts'

export interface ExtOptions {
  /** feature names of dumpe2fs; exactly these are set */
  features: readonly string[]
  uuid: string
  label: string
  blockSizeBytes: number
  inodeSizeBytes: number
  /** size of the file system; the device may be larger */
  blockCount: number
  inodeCount: number
  blocksPerGroup?: number
  flexBlockGroupSize?: number
  journalSizeMiB?: number
  hashSeed?: string
  /** with the feature quota: which of them; users and groups when absent */
  quotas?: readonly string[]
  /** with room for descriptors up to this size; what mke2fs chooses when absent */
  largestBlockCount?: number
}

export interface XfsOptions {
  uuid: string
  label: string
  blockSizeBytes: number
  inodeSizeBytes: number
  sectorSizeBytes: number
  /** `-m`: crc, finobt, rmapbt, reflink, bigtime, inobtcount as key=value */
  metadata: readonly string[]
  /** `-i`: sparse, attr, projid32bit, nrext64, maxpct as key=value */
  inode: readonly string[]
  /** `-n`: version, ftype, size as key=value */
  naming: readonly string[]
  /** `-l`: size, version, lazy-count as key=value */
  log: readonly string[]
  /** `-d`: size, agsize as key=value */
  data: readonly string[]
}

export interface BtrfsOptions {
  uuid: string
  label: string
  nodeSizeBytes?: number
  sectorSizeBytes?: number
  checksum: string
  data: 'single' | 'dup'
  metadata: 'single' | 'dup'
  /** data and metadata in the same groups */
  mixed: boolean
  /** `-O`, with ^ before what is not wanted */
  features: readonly string[]
  /** `-R`, likewise */
  runtimeFeatures: readonly string[]
}

export interface FatOptions {
  bits?: number
  /** eight hex digits */
  serial: string
  label: string
  sectorSizeBytes: number
  sectorsPerCluster?: number
  reservedSectors?: number
  /** number of allocation tables */
  tables?: number
  /** of FAT12 and FAT16 */
  rootEntries?: number
}

export interface SwapOptions { uuid: string, label: string, pageSizeBytes?: number }

const TIMEOUT_MS = 1_800_000 // inode tables of a large file system without lazy initialisation take minutes

/** Without it the appliance's mke2fs.conf would add features, mount options and limits of its own. */
const NO_DEFAULTS = { MKE2FS_CONFIG: '/dev/null' }

/** Makes an ext2, ext3 or ext4 (which it is, is a matter of features). @throws {AppError} what Runner throws */
export async function makeExt(runner: Runner, device: string, o: ExtOptions, signal: AbortSignal): Promise<void> {
  const args = [
    '-q', '-F', // asks nothing; the caller has looked at the device
    '-O', ['none', ...o.features].join(','), '-b', String(o.blockSizeBytes), '-I', String(o.inodeSizeBytes), '-N', String(o.inodeCount),
    '-m', '0', '-U', o.uuid, '-L', o.label,
  ]
  if (o.blocksPerGroup !== undefined) args.push('-g', String(o.blocksPerGroup))
  if (o.flexBlockGroupSize !== undefined) args.push('-G', String(o.flexBlockGroupSize))
  if (o.journalSizeMiB !== undefined) args.push('-J', `size=${String(o.journalSizeMiB)}`)
  const extended: string[] = []
  if (o.hashSeed !== undefined) extended.push(`hash_seed=${o.hashSeed}`)
  if (o.largestBlockCount !== undefined) extended.push(`resize=${String(o.largestBlockCount)}`)
  if (o.quotas !== undefined) extended.push(`quotatype=${o.quotas.map(name => `${name}quota`).join(':')}`)
  if (extended.length > 0) args.push('-E', extended.join(','))
  await runner.run('mkfs.ext4', [...args, '--', device, String(o.blockCount)], { signal, timeoutMs: TIMEOUT_MS, env: NO_DEFAULTS })
}

/**
 * Makes an XFS.
 * @param old the source, or its log, is smaller than what mkfs makes today: only with this it is made
 * @throws {AppError} what Runner throws
 */
export async function makeXfs(runner: Runner, device: string, o: XfsOptions, old: boolean, signal: AbortSignal): Promise<void> {
  await runner.run('mkfs.xfs', [
    '-q', '-f', ...(old ? ['--unsupported'] : []), '-L', o.label, '-b', `size=${String(o.blockSizeBytes)}`, '-s', `size=${String(o.sectorSizeBytes)}`,
    '-m', [`uuid=${o.uuid}`, ...o.metadata].join(','), '-i', [`size=${String(o.inodeSizeBytes)}`, ...o.inode].join(','),
    ...list('-n', o.naming), ...list('-l', o.log), '-d', ['noalign', ...o.data].join(','), // a stripe of the source's array means nothing on a virtual disk
    '--', device,
  ], { signal, timeoutMs: TIMEOUT_MS })
}

/**
 * Makes a btrfs on one device, also when another device of the machine has the same UUID.
 * @param number of the device, "major:minor"
 * @throws {AppError} what Runner throws
 */
export async function makeBtrfs(runner: Runner, device: string, number: string, o: BtrfsOptions, signal: AbortSignal): Promise<void> {
  await runAlone(runner, device, number, 'mkfs.btrfs', [
    '-q', '-f', '-U', o.uuid, '-L', o.label, '--csum', o.checksum, '-d', o.data, '-m', o.metadata, ...(o.mixed ? ['--mixed'] : []), '-O', o.features.join(','), '-R', o.runtimeFeatures.join(','),
    ...(o.nodeSizeBytes === undefined ? [] : ['-n', String(o.nodeSizeBytes)]), ...(o.sectorSizeBytes === undefined ? [] : ['-s', String(o.sectorSizeBytes)]), '--', device,
  ], { signal, timeoutMs: TIMEOUT_MS })
}

/** Makes a FAT. @throws {AppError} what Runner throws */
export async function makeFat(runner: Runner, device: string, o: FatOptions, signal: AbortSignal): Promise<void> {
  const number = (flag: string, value: number | undefined): readonly string[] => (value === undefined ? [] : [flag, String(value)])
  await runner.run('mkfs.vfat', [
    '-i', o.serial, '-n', o.label, '-S', String(o.sectorSizeBytes), ...number('-F', o.bits), ...number('-s', o.sectorsPerCluster), ...number('-f', o.tables),
    ...number('-R', o.reservedSectors), ...(o.reservedSectors === undefined ? [] : ['-a']), ...number('-r', o.rootEntries), // -a: as told, not rounded up
    '--mbr=n', '-I', '--', device, // a whole disk, too, and then without a partition table for show
  ], { signal, timeoutMs: TIMEOUT_MS })
}

/** Makes swap space. @throws {AppError} what Runner throws */
export async function makeSwap(runner: Runner, device: string, o: SwapOptions, signal: AbortSignal): Promise<void> {
  const page = o.pageSizeBytes === undefined ? [] : ['--pagesize', String(o.pageSizeBytes)]
  const label = o.label === '' ? [] : ['--label', o.label]
  await runner.run('mkswap', ['--force', ...page, '--uuid', o.uuid, ...label, '--', device], { signal, timeoutMs: TIMEOUT_MS })
}

function list(flag: string, values: readonly string[]): readonly string[] {
  return values.length === 0 ? [] : [flag, values.join(',')]
}
