/** Small files of ours that must be whole or absent whatever happens: written beside, flushed, renamed, directory flushed. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Owner only: keys are among them. */
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

/** Replaces the file at `path`, which nobody but the owner can read; survives a power loss when it resolves. Makes the directory. */
export async function writeFileAtomically(path: string, content: string): Promise<void> {
  const directory = dirname(path)
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
  const beside = `${path}.${randomBytes(6).toString('hex')}.new`
  try {
    {
      await using file = await open(beside, 'wx', FILE_MODE)
      await file.writeFile(content)
      await file.sync()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
  await using handle = await open(directory, 'r')
  await handle.sync()
}
