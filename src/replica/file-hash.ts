/** SHA-256 of files of any size. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

/** Of a regular file, in hex; a link is followed: who calls has looked. */
export async function hashOfFile(path: string): Promise<string> {
  return await hashOfChunks(createReadStream(path))
}

/** Of what is read, in hex. */
export async function hashOfChunks(chunks: AsyncIterable<unknown>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of chunks) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
