/** File systems as the tools of a time made them by default: mke2fs.conf, mkfs.xfs, mkfs.btrfs and mkfs.fat of the distributions' releases. */
import type { FileSystem } from '../../../src/domain/volume.ts'

interface Era { type: FileSystem['type'], features: readonly string[], inodeSizeBytes: number, properties?: Readonly<Record<string, string>> }

const words = (text: string): readonly string[] => text.split(' ')
const EXT3_BASE = 'has_journal ext_attr resize_inode dir_index filetype sparse_super large_file'
const EXT4_BASE = 'has_journal ext_attr resize_inode dir_index filetype extent flex_bg sparse_super large_file huge_file uninit_bg dir_nlink extra_isize'
const EXT4_64 = 'has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file dir_nlink extra_isize'

const ERAS: Readonly<Record<string, Era>> = {
  'ext2:2010': { type: 'ext2', features: words('ext_attr resize_inode dir_index filetype sparse_super large_file'), inodeSizeBytes: 128 },
  /** e2fsprogs 1.39 of RHEL 5 */
  'ext3:rhel5': { type: 'ext3', features: words(EXT3_BASE), inodeSizeBytes: 128 },
  /** e2fsprogs 1.41 of SLES 11, Debian 6 */
  'ext3:2010': { type: 'ext3', features: words(EXT3_BASE), inodeSizeBytes: 256 },
  'ext4:rhel6': { type: 'ext4', features: words(EXT4_BASE), inodeSizeBytes: 256 },
  'ext4:ubuntu12': { type: 'ext4', features: words(EXT4_BASE), inodeSizeBytes: 256 },
  /** 1.42 with 64bit: RHEL 7, Debian 8 had it without */
  'ext4:rhel7': { type: 'ext4', features: words(EXT4_64.replace('dir_nlink', 'uninit_bg dir_nlink')), inodeSizeBytes: 256 },
  'ext4:debian8': { type: 'ext4', features: words(EXT4_BASE), inodeSizeBytes: 256 },
  /** 1.43 and later: checksums */
  'ext4:2016': { type: 'ext4', features: words(`${EXT4_64} metadata_csum`), inodeSizeBytes: 256 },
  /** 1.47 and later */
  'ext4:2023': { type: 'ext4', features: words(`${EXT4_64} metadata_csum_seed metadata_csum orphan_file`), inodeSizeBytes: 256 },
  'ext2:2016': { type: 'ext2', features: words('ext_attr resize_inode dir_index filetype sparse_super large_file'), inodeSizeBytes: 256 },
  'xfs:v4': { type: 'xfs', features: words('crc=0 finobt=0 attr=2 projid32bit=0 ftype=0 ascii-ci=0 lazy-count=1'), inodeSizeBytes: 256 },
  'xfs:rhel7': { type: 'xfs', features: words('crc=1 finobt=0 sparse=0 attr=2 projid32bit=1 ftype=1 ascii-ci=0 lazy-count=1'), inodeSizeBytes: 512 },
  'xfs:rhel8': { type: 'xfs', features: words('crc=1 finobt=1 sparse=1 rmapbt=0 reflink=1 attr=2 projid32bit=1 ftype=1 ascii-ci=0 lazy-count=1'), inodeSizeBytes: 512 },
  'xfs:rhel9': { type: 'xfs', features: words('crc=1 finobt=1 sparse=1 rmapbt=0 reflink=1 bigtime=1 inobtcount=1 attr=2 projid32bit=1 ftype=1 ascii-ci=0 lazy-count=1'), inodeSizeBytes: 512 },
  'xfs:rhel10': { type: 'xfs', features: words('crc=1 finobt=1 sparse=1 rmapbt=1 reflink=1 bigtime=1 inobtcount=1 nrext64=1 attr=2 projid32bit=1 ftype=1 ascii-ci=0 lazy-count=1'), inodeSizeBytes: 512 },
  /** on a hardware RAID that tells its stripes */
  'xfs:rhel8-striped': { type: 'xfs', features: words('crc=1 finobt=1 sparse=1 rmapbt=0 reflink=1 attr=2 projid32bit=1 ftype=1 ascii-ci=0 lazy-count=1'), inodeSizeBytes: 512, properties: { sunit: '16', swidth: '64' } },
  'btrfs:sles12': { type: 'btrfs', features: words('mixed-backref big-metadata extended-iref skinny-metadata'), inodeSizeBytes: 0, properties: { nodesize: '16384', data: 'single', metadata: 'DUP' } },
  'btrfs:sles15': { type: 'btrfs', features: words('mixed-backref big-metadata extended-iref skinny-metadata no-holes'), inodeSizeBytes: 0, properties: { nodesize: '16384', data: 'single', metadata: 'single' } },
  'btrfs:2022': { type: 'btrfs', features: words('free-space-tree free-space-tree-valid mixed-backref big-metadata extended-iref skinny-metadata no-holes'), inodeSizeBytes: 0, properties: { nodesize: '16384', data: 'single', metadata: 'DUP' } },
  vfat16: { type: 'vfat', features: [], inodeSizeBytes: 0, properties: { fatBits: '16', sectsz: '512' } },
  vfat32: { type: 'vfat', features: [], inodeSizeBytes: 0, properties: { fatBits: '32', sectsz: '512' } },
  ntfs: { type: 'unsupported', features: [], inodeSizeBytes: 0 },
  swap: { type: 'swap', features: [], inodeSizeBytes: 0, properties: { pageSizeBytes: '4096', version: '1' } },
}

/** What mkfs of that time makes on a device of this size. */
export function fileSystemOf(era: string, sizeBytes: number, identity: { uuid: string, label: string, usedBytes: number }): FileSystem {
  const found = ERAS[era]
  if (found === undefined) throw new Error(`no such file system: ${era}`)
  const { type, features, inodeSizeBytes } = found
  const small = sizeBytes < 512 * 2 ** 20 && type.startsWith('ext') // mke2fs calls it "small": blocks of 1 KiB
  const blockSizeBytes = type === 'swap' || type === 'vfat' ? 512 : small ? 1024 : 4096
  const blocks = Math.floor(sizeBytes / blockSizeBytes)
  return {
    ...identity, type, typeName: type === 'unsupported' ? era : type, blockSizeBytes, features: [...features], inodeSizeBytes,
    ...(type === 'vfat' ? { uuid: identity.uuid.slice(0, 9).toUpperCase().replace(/^(.{4})(.{4})-?/, '$1-$2') } : {}),
    properties: { ...geometry(type, blocks, sizeBytes, small), ...found.properties },
  }
}

function geometry(type: FileSystem['type'], blocks: number, sizeBytes: number, small: boolean): Record<string, string> {
  switch (type) {
    case 'ext2': case 'ext3': case 'ext4': return { blockCount: String(blocks), inodeCount: String(Math.floor(sizeBytes / (small ? 4096 : 16384))), reservedBlockCount: String(Math.floor(blocks / 20)) }
    case 'xfs': return { blocks: String(blocks), agcount: '4', agsize: String(Math.ceil(blocks / 4)), sectsz: '512', log: 'internal', rtextents: '0' }
    case 'btrfs': return { sectorsize: '4096', checksum: 'crc32c', devices: '1' }
    case 'vfat': case 'swap': case 'unsupported': return {}
  }
}
