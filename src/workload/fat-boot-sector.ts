/** The first sector of a FAT: what blkid does not tell of it. */
import { open } from 'node:fs/promises'

const BYTES = 64

/** Properties as `domain/volume.ts` lists them; none when the sector cannot be read or says nothing that makes sense. */
export async function readFatGeometry(device: string): Promise<Record<string, string>> {
  try {
    await using handle = await open(device, 'r')
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(BYTES), 0, BYTES, 0)
    return bytesRead === BYTES ? fatGeometry(buffer) : {}
  } catch {
    return {} // mkfs chooses then
  }
}

/** Pure. */
function fatGeometry(sector: Buffer): Record<string, string> {
  const sectsz = sector.readUInt16LE(11)
  const clusterSectors = sector.readUInt8(13)
  const reservedSectors = sector.readUInt16LE(14)
  const tables = sector.readUInt8(16)
  const rootEntries = sector.readUInt16LE(17)
  const powerOfTwo = (n: number): boolean => n > 0 && (n & (n - 1)) === 0
  if (!powerOfTwo(sectsz) || sectsz < 512 || sectsz > 4096 || !powerOfTwo(clusterSectors) || reservedSectors === 0 || tables < 1 || tables > 4) return {}
  return {
    sectsz: String(sectsz), clusterSectors: String(clusterSectors), reservedSectors: String(reservedSectors), tables: String(tables), ...rootEntries === 0 ? {} : { rootEntries: String(rootEntries) },
  }
}
