/**
 * The source server's disks, built once and kept. The key is what they are made of: the scripts of this folder and the
 * partition table. Kept compressed; a lab start unpacks its own copy in a second or two.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CACHE, IMAGE_SCRIPTS } from '../paths.ts'
import { tool } from '../tool.ts'
import { BUILD_TIMEOUT_MS, dropOld, exists, keyOf, once } from './image-cache.ts'

export type Table = 'gpt' | 'dos'

export interface SourceDisks { system: string, data: string }

/** What the image's scripts fix; the lab checks the replica against it. */
export const SOURCE = { hostName: 'src-db01', macAddress: '52:54:00:5a:7b:01', adapter: 'ens3', address: '10.77.0.11', prefixLength: 24, gateway: '10.77.0.1' } as const

const DISKS_TIMEOUT_MS = 300_000

async function rootPath(): Promise<string> { return join(CACHE, `root-${await keyOf(['root.sh'], '')}.tar`) }

/** The Debian root tree that the source is made of, as a tar, built first where it is missing. */
export async function debianRoot(say: (line: string) => void, signal: AbortSignal): Promise<string> {
  await mkdir(CACHE, { recursive: true })
  const root = await rootPath()
  await once(root, say, 'the Debian root tree of the source, about a minute', signal, async (temporary) => {
    await tool('bash', [join(IMAGE_SCRIPTS, 'root.sh'), temporary], { timeoutMs: BUILD_TIMEOUT_MS, signal })
  })
  return root
}

/** Unpacks fresh copies of the source's disks into `directory`, building the images first where they are missing. */
export async function checkOutSourceDisks(directory: string, table: Table, say: (line: string) => void, signal: AbortSignal): Promise<SourceDisks> {
  await mkdir(CACHE, { recursive: true })
  const root = await rootPath()
  const packedFor = async (of: Table): Promise<string> => join(CACHE, `disks-${await keyOf(['root.sh', 'disks.sh', 'zoo.sh'], of)}`)
  const packed = await packedFor(table)
  if (!await exists(join(packed, 'data.img.zst'))) {
    await dropOld(['root-', 'disks-'], [root, await packedFor('gpt'), await packedFor('dos')])
    await debianRoot(say, signal)
    await once(packed, say, 'the disks of the source', signal, async (temporary) => {
      await mkdir(temporary)
      await tool('bash', [join(IMAGE_SCRIPTS, 'disks.sh'), root, temporary, table], { timeoutMs: DISKS_TIMEOUT_MS, signal })
      for (const disk of ['system.img', 'data.img']) await tool('zstd', ['-q', '-1', '-T2', '--rm', join(temporary, disk)], { timeoutMs: DISKS_TIMEOUT_MS, signal })
    })
  }
  const disks = { system: join(directory, 'system.img'), data: join(directory, 'data.img') }
  await Promise.all((['system', 'data'] as const).map(async (disk) => {
    await tool('zstd', ['-q', '-d', '-f', '--sparse', join(packed, `${disk}.img.zst`), '-o', disks[disk]], { timeoutMs: DISKS_TIMEOUT_MS, signal })
  }))
  return disks
}
