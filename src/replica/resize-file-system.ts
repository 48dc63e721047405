/** The description of a file system for another size: what belongs to its size changes, everything else stays as it is on the source. Pure. */
import type { FileSystem } from '../domain/volume.ts'

/** Of an ext file system that became smaller. mke2fs chooses a sixteenth for small ones, and less for others. */
const LARGEST_JOURNAL_PART = 1 / 16
/** Of a group of XFS: the log lies in one group, which may be the last, of half the size. */
const LARGEST_LOG_PART = 0.4

/** What is made on a device of `sizeBytes`; the same when the device has the source's size. */
export function resizeFileSystem(fileSystem: FileSystem, sourceBytes: number, sizeBytes: number): FileSystem {
  if (sizeBytes === sourceBytes) return fileSystem
  switch (fileSystem.type) {
    case 'ext2': case 'ext3': case 'ext4': return resizeExt(fileSystem, sizeBytes)
    case 'xfs': return resizeXfs(fileSystem, sizeBytes)
    case 'vfat': return resizeFat(fileSystem)
    case 'btrfs': case 'swap': case 'unsupported': return fileSystem // they fill what they are made on
  }
}

/** As many inodes and reserved blocks for its size as on the source; a journal that would take much of a smaller one becomes one as mke2fs chooses. */
function resizeExt(fileSystem: FileSystem, sizeBytes: number): FileSystem {
  const { properties, blockSizeBytes } = fileSystem
  const before = Number(properties['blockCount'])
  const blocks = Math.floor(sizeBytes / blockSizeBytes)
  if (!(before > 0) || !(blocks > 0)) return fileSystem
  const scaled = (key: string): string => String(Math.round(Number(properties[key] ?? 0) / before * blocks))
  const { journalSizeBytes, ...rest } = properties
  const journal = journalSizeBytes === undefined || (blocks < before && Number(journalSizeBytes) > sizeBytes * LARGEST_JOURNAL_PART) ? {} : { journalSizeBytes }
  return { ...fileSystem, properties: { ...rest, ...journal, blockCount: String(blocks), inodeCount: scaled('inodeCount'), reservedBlockCount: scaled('reservedBlockCount') } }
}

/** Groups of the same size, more or fewer of them, as growing it would give; a smaller one than a group and a half gets groups as mkfs chooses, and a log that fits into them. */
function resizeXfs(fileSystem: FileSystem, sizeBytes: number): FileSystem {
  const { properties, blockSizeBytes } = fileSystem
  const blocks = Math.floor(sizeBytes / blockSizeBytes)
  const agsize = Number(properties['agsize'])
  const without = (...keys: readonly string[]): Record<string, string> => Object.fromEntries(Object.entries(properties).filter(([key]) => !keys.includes(key)))
  if (!(agsize > 0) || blocks < agsize * 1.5) return { ...fileSystem, properties: { ...without('agsize', 'agcount', 'log-blocks'), blocks: String(blocks) } }
  const kept = Number(properties['log-blocks'] ?? 0) > agsize * LARGEST_LOG_PART ? without('log-blocks') : properties
  return { ...fileSystem, properties: { ...kept, blocks: String(blocks), agcount: String(Math.ceil(blocks / agsize)) } }
}

/** Clusters are as mkfs chooses them; only a FAT of 32 bits has room for any number of them. */
function resizeFat(fileSystem: FileSystem): FileSystem {
  const { sectsz, tables } = fileSystem.properties
  return { ...fileSystem, properties: { fatBits: '32', ...(sectsz === undefined ? {} : { sectsz }), ...(tables === undefined ? {} : { tables }) } }
}
