/** Disks, partitions, file systems and swap of a source, as found. Sizes and offsets in bytes. Later: volume groups, logical volumes, subvolumes. */
import { z } from 'zod'

export const FileSystemType = z.enum(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'vfat', 'swap', 'unsupported'])
export type FileSystemType = z.infer<typeof FileSystemType>

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
   * ftype, ascii-ci, lazy-count; a key that the source's tool does not print is left out.
   */
  features: z.array(z.string()),
  /** ext: inode size; xfs: isize */
  inodeSizeBytes: z.number().int().nonnegative(),
  /**
   * Further properties that must be kept, decimal numbers without separators where they are numbers. Agreed keys (src/workload records, src/storage uses):
   * ext2/3/4 (lines of `dumpe2fs -h`): inodeCount, blockCount, reservedBlockCount, inodesPerGroup, blocksPerGroup, reservedGdtBlocks, flexBlockGroupSize,
   * groupDescriptorSize, hashSeed (UUID), directoryHash (half_md4 ...), defaultMountOptions (words separated by a blank, '' for none), journalSizeBytes,
   * errorsBehavior (continue | remount-ro | panic), maximumMountCount, checkIntervalSeconds, state (clean ...).
   * xfs (`xfs_info`): agcount, agsize (blocks), blocks, sectsz, imaxpct, sunit, swidth, naming-version, naming-bsize, log (internal | external),
   * log-blocks, log-version, log-sectsz, rtextents.
   * swap: pageSizeBytes, version, swapfile ("yes" for a file).
   */
  properties: z.record(z.string(), z.string()),
})
export type FileSystem = z.infer<typeof FileSystem>

/** A file system (or swap) on a partition or a whole disk of the source. */
export const Volume = z.object({
  /** stable name inside a job: the mount point, or swap-<uuid>, or the device name when it is not mounted */
  name: z.string(),
  device: z.string(),
  /** absolute path on the source; undefined when it is not mounted (swap) */
  mountPoint: z.string().optional(),
  mountOptions: z.string(),
  sizeBytes: z.number().int().positive(),
  fileSystem: FileSystem,
  /** where it lives */
  disk: z.string(),
  /** partition number on the disk; 0 for a whole-disk file system */
  partition: z.number().int().nonnegative(),
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
  /** kernel name on the source (sda, vda) */
  name: z.string(),
  sizeBytes: z.number().int().positive(),
  sectorSizeBytes: z.number().int().positive(),
  /** none: a whole-disk file system */
  table: z.enum(['gpt', 'dos', 'none']),
  /** GPT disk GUID, MBR signature 0x... */
  tableId: z.string(),
  partitions: z.array(Partition),
})
export type Disk = z.infer<typeof Disk>
