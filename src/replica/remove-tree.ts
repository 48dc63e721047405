import { constants } from 'node:fs'
import { open, readdir, rmdir, unlink } from 'node:fs/promises'

/** A directory with all that is in it, each directory opened relative to the one that holds it. Names are taken byte for byte. */
export async function removeTree(path: string | Buffer): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    const inside = `/proc/self/fd/${String(handle.fd)}`
    for (const entry of await readdir(inside, { withFileTypes: true, encoding: 'buffer' })) {
      const at = Buffer.concat([Buffer.from(`${inside}/`), entry.name])
      await (entry.isDirectory() ? removeTree : unlink)(at)
    }
  } finally {
    await handle.close()
  }
  await rmdir(path)
}
