/** Disks, partitions, file systems and swap of a source, as found. Sizes and offsets in bytes. What lies in between is in layer.ts. */
import { z } from 'zod'

export const FileSystemType = z.enum(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'vfat', 'swap', 'unsupported'])
export type FileSystemType = z.infer<typeof FileSystemType>

const MAX_SUBVOLUMES = 1000

export const Subvolume = z.object({
  /** from the top of the file system, without a slash before it: @/.snapshots/1/snapshot */
  path: z.string(),
  /** what a mount without "subvol" shows */
  default: z.boolean(),
  /** files in it are not copied on write */
  noCow: z.boolean(),
})
export type Subvolume = z.infer<typeof Subvolume>

export const FileSystem = z.object({
  type: FileSystemType,
  /** the type as the source names it, also when it is not supported */
  typeName: z.string(),
  uuid: z.string(),
  label: z.string(),
  blockSizeBytes: z.number().int().nonnegative(),
  usedBytes: z.number().int().nonnegative(),
  /**
   * What the file system can do, so that the replica's is made with exactly this.
   * ext2/3/4: the names of the line "Filesystem features" of `dumpe2fs -h`, in its order.
   * xfs: `key=value` as `xfs_info` prints them: crc, finobt, sparse, rmapbt, reflink, bigtime, inobtcount, nrext64, attr, projid32bit,
   * ftype, ascii-ci, lazy-count; a key that the source's tool does not print is left out. Others (exchange, parent, metadir ...) only when they are 1.
   * btrfs: names of its incompatible and read-only compatible flags as `dump-super` prints them, in lower case with dashes: extended-iref, no-holes.
   */
  features: z.array(z.string()),
  /** ext: inode size; xfs: isize */
  inodeSizeBytes: z.number().int().nonnegative(),
  /**
   * Further properties that must be kept, decimal numbers without separators where they are numbers. Agreed keys (src/workload records, src/storage uses):
   * ext2/3/4 (lines of `dumpe2fs -h`): inodeCount, blockCount, reservedBlockCount, inodesPerGroup, blocksPerGroup, reservedGdtBlocks, flexBlockGroupSize,
   * groupDescriptorSize, hashSeed (UUID), directoryHash (half_md4 ...), defaultMountOptions (words separated by a blank, '' for none), journalSizeBytes,
   * errorsBehavior (continue | remount-ro | panic), maximumMountCount, checkIntervalSeconds, state (clean ...), quotas (of usr grp prj, with the
   * feature quota), raidStride, raidStripeWidth (blocks; told, not made).
   * xfs (`xfs_info`): agcount, agsize (blocks), blocks, sectsz, imaxpct, sunit, swidth, naming-version, naming-bsize, log (internal | external),
   * log-blocks, log-version, log-sectsz, rtextents.
   * swap: pageSizeBytes, version, swapfile ("yes" for a file).
   * btrfs (`btrfs inspect-internal dump-super`): nodesize, sectorsize, checksum, devices (number of them), data, metadata (profiles: single, DUP ...).
   * vfat: fatBits (12, 16, 32), sectsz, and of its first sector clusterSectors (in one cluster), reservedSectors, tables (number of them), rootEntries.
   */
  properties: z.record(z.string(), z.string()),
  /** btrfs: those that are made before anything is copied; the same for each volume of one file system. Snapshots are not among them. */
  subvolumes: z.array(Subvolume).max(MAX_SUBVOLUMES).optional(),
  /** btrfs: paths of those that no mount shows, neither by themselves nor in another one: their files are not copied. What lies in one of them is not named. */
  unmountedSubvolumes: z.array(z.string()).max(MAX_SUBVOLUMES).optional(),
})
export type FileSystem = z.infer<typeof FileSystem>

/** A file system (or swap) of the source. Of a btrfs each mounted subvolume is one. */
export const Volume = z.object({
  /** stable name inside a job: the mount point, or swap-<uuid>, or the device name when it is not mounted */
  name: z.string(),
  device: z.string(),
  /** absolute path on the source; undefined when it is not mounted (swap) */
  mountPoint: z.string().optional(),
  mountOptions: z.string(),
  sizeBytes: z.number().int().positive(),
  fileSystem: FileSystem,
  /** the disk it lies on; the first of several */
  disk: z.string(),
  /** partition number on the disk; 0 for a whole disk */
  partition: z.number().int().nonnegative(),
  /** what it lies on when that is no partition and no disk: the name of an array, a logical volume, or something unlocked (layer.ts) */
  on: z.string().optional(),
  /** btrfs: the subvolume that is mounted, '' for the top of the file system */
  subvolume: z.string().optional(),
  /** the system or a boot volume: always part of a job */
  required: z.boolean(),
  /** a volume that cannot be migrated is shown with the reason, not selectable */
  unsupportedReason: z.string().optional(),
})
export type Volume = z.infer<typeof Volume>

export const Partition = z.object({
  number: z.number().int().positive(),
  startBytes: z.number().int().nonnegative(),
  sizeBytes: z.number().int().positive(),
  /** GPT: type GUID in upper case; MBR: two hex digits in lower case */
  type: z.string(),
  /** GPT PARTUUID; MBR: signature-NN */
  uuid: z.string(),
  name: z.string(),
  bootable: z.boolean(),
  /** GPT: all attribute bits as sfdisk writes them ("RequiredPartition LegacyBIOSBootable GUID:63"); absent when none is set */
  attributes: z.string().optional(),
})
export type Partition = z.infer<typeof Partition>

export const Disk = z.object({
  /** kernel name on the source (sda, vda); the map's name of a multipath device; an array that is partitioned is a disk, too */
  name: z.string(),
  sizeBytes: z.number().int().positive(),
  sectorSizeBytes: z.number().int().positive(),
  /** none: something lies on the whole disk */
  table: z.enum(['gpt', 'dos', 'none']),
  /** GPT disk GUID, MBR signature 0x... */
  tableId: z.string(),
  partitions: z.array(Partition),
})
export type Disk = z.infer<typeof Disk>
