/** The description of a file system for another size: what belongs to its size changes, everything else stays as it is on the source. Pure. */
import type { FileSystem } from '../domain/volume.ts'

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

/** As many inodes and reserved blocks for its size as on the source. */
function resizeExt(fileSystem: FileSystem, sizeBytes: number): FileSystem {
  const { properties, blockSizeBytes } = fileSystem
  const before = Number(properties['blockCount'])
  const blocks = Math.floor(sizeBytes / blockSizeBytes)
  if (!(before > 0) || !(blocks > 0)) return fileSystem
  const scaled = (key: string): string => String(Math.round(Number(properties[key] ?? 0) / before * blocks))
  return { ...fileSystem, properties: { ...properties, blockCount: String(blocks), inodeCount: scaled('inodeCount'), reservedBlockCount: scaled('reservedBlockCount') } }
}

/** Groups of the same size, more or fewer of them, as growing it would give; a smaller one than a group and a half gets groups as mkfs chooses, and a log that fits into them. */
function resizeXfs(fileSystem: FileSystem, sizeBytes: number): FileSystem {
  const { properties, blockSizeBytes } = fileSystem
  const blocks = Math.floor(sizeBytes / blockSizeBytes)
  const agsize = Number(properties['agsize'])
  const kept = Object.fromEntries(Object.entries(properties).filter(([key]) => !['agsize', 'agcount', 'log-blocks'].includes(key)))
  if (!(agsize > 0) || blocks < agsize * 1.5) return { ...fileSystem, properties: { ...kept, blocks: String(blocks) } }
  return { ...fileSystem, properties: { ...properties, blocks: String(blocks), agcount: String(Math.ceil(blocks / agsize)) } }
}

/** Clusters are as mkfs chooses them; only a FAT of 32 bits has room for any number of them. */
function resizeFat(fileSystem: FileSystem): FileSystem {
  const { sectsz, tables } = fileSystem.properties
  return { ...fileSystem, properties: { fatBits: '32', ...(sectsz === undefined ? {} : { sectsz }), ...(tables === undefined ? {} : { tables }) } }
}
