/** Built images, kept in .lab/cache under a key of what they are made of. */
import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CACHE, IMAGE_SCRIPTS } from '../paths.ts'
import { claim, waitUntil } from '../process-identity.ts'

export const BUILD_TIMEOUT_MS = 900_000

export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(s => s.size > 0, () => false)
}

/** @param files names of scripts in the folder of the images */
export async function keyOf(files: readonly string[], extra: string): Promise<string> {
  const hash = createHash('sha256').update(extra)
  for (const file of files) hash.update(await readFile(join(IMAGE_SCRIPTS, file)))
  return hash.digest('hex').slice(0, 16)
}

/** Makes `path` with `make(temporary path)` unless it is there; one builder at a time, and never a half one under the final name. */
export async function once(path: string, say: (line: string) => void, what: string, signal: AbortSignal, make: (temporary: string) => Promise<void>): Promise<void> {
  const lock = `${path}.lock`
  const mine = await waitUntil(`${what} to be built by another process`, BUILD_TIMEOUT_MS, async () => await exists(path) ? 'there' : await claim(lock) && 'mine', signal)
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

/** Drops images of earlier versions of the scripts: all whose names begin with one of the prefixes, but `current` and what is being built of it. */
export async function dropOld(prefixes: readonly string[], current: readonly string[]): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, name)
    if (prefixes.some(prefix => name.startsWith(prefix)) && !current.some(wanted => path.startsWith(wanted))) await rm(path, { recursive: true, force: true })
  }
}
