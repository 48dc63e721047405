/**
 * The source server's disks, built once and kept. The key is what they are made of: the scripts of this folder and the
 * partition table. Kept compressed; a lab start unpacks its own copy in a second or two.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CACHE, IMAGE_SCRIPTS } from '../paths.ts'
import { claim, waitUntil } from '../process-identity.ts'
import { tool } from '../tool.ts'

export type Table = 'gpt' | 'dos'

export interface SourceDisks { system: string, data: string }

/** What the image's scripts fix; the lab checks the replica against it. */
export const SOURCE = { hostName: 'src-db01', macAddress: '52:54:00:5a:7b:01', adapter: 'ens3', address: '10.77.0.11', prefixLength: 24, gateway: '10.77.0.1' } as const

const ROOT_TIMEOUT_MS = 900_000
const DISKS_TIMEOUT_MS = 300_000

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(s => s.size > 0, () => false)
}

async function key(files: readonly string[], extra: string): Promise<string> {
  const hash = createHash('sha256').update(extra)
  for (const file of files) hash.update(await readFile(join(IMAGE_SCRIPTS, file)))
  return hash.digest('hex').slice(0, 16)
}

/** Makes `path` with `make(temporary path)` unless it is there; one builder at a time, and never a half one under the final name. */
async function once(path: string, say: (line: string) => void, what: string, signal: AbortSignal, make: (temporary: string) => Promise<void>): Promise<void> {
  const lock = `${path}.lock`
  const mine = await waitUntil(`${what} to be built by another process`, ROOT_TIMEOUT_MS, async () => await exists(path) ? 'there' : await claim(lock) && 'mine', signal)
  if (mine === 'there') return
  const temporary = `${path}.new`
  try {
    if (await exists(path)) return // built between the look and the claim
    say(`building ${what} (once, kept in .lab/cache)`)
    await rm(temporary, { recursive: true, force: true })
    await make(temporary)
    await rename(temporary, path)
  } finally {
    for (const left of [temporary, `${temporary}.scratch`]) await rm(left, { recursive: true, force: true, maxRetries: 5 })
    await rm(lock, { force: true })
  }
}

/** Images of earlier versions of the scripts; what is being built stays. */
async function dropOld(current: readonly string[]): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, name)
    if (!current.some(wanted => path.startsWith(wanted))) await rm(path, { recursive: true, force: true })
  }
}

async function rootPath(): Promise<string> { return join(CACHE, `root-${await key(['root.sh'], '')}.tar`) }

/** The Debian root tree that the source is made of, as a tar, built first where it is missing. */
export async function debianRoot(say: (line: string) => void, signal: AbortSignal): Promise<string> {
  await mkdir(CACHE, { recursive: true })
  const root = await rootPath()
  await once(root, say, 'the Debian root tree of the source, about a minute', signal, async (temporary) => {
    await tool('bash', [join(IMAGE_SCRIPTS, 'root.sh'), temporary], { timeoutMs: ROOT_TIMEOUT_MS, signal })
  })
  return root
}

/** Unpacks fresh copies of the source's disks into `directory`, building the images first where they are missing. */
export async function checkOutSourceDisks(directory: string, table: Table, say: (line: string) => void, signal: AbortSignal): Promise<SourceDisks> {
  await mkdir(CACHE, { recursive: true })
  const root = await rootPath()
  const packedFor = async (of: Table): Promise<string> => join(CACHE, `disks-${await key(['root.sh', 'disks.sh', 'zoo.sh'], of)}`)
  const packed = await packedFor(table)
  if (!await exists(join(packed, 'data.img.zst'))) {
    await dropOld([root, await packedFor('gpt'), await packedFor('dos')])
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
