/** The content of a FAT in an image, without a kernel that knows it. */
import { mkdir } from 'node:fs/promises'
import type { Place } from '../places.ts'
import { tool } from '../tool.ts'

/** Directories have no times of their own there: all get the same. */
export async function extractFat({ file, offsetBytes }: Place, to: string): Promise<void> {
  await mkdir(to)
  await tool('mcopy', ['-s', '-m', '-n', '-i', `${file}@@${String(offsetBytes)}`, '::/*', to], { env: { MTOOLS_SKIP_CHECK: '1' } })
  await tool('find', [to, '-type', 'd', '-exec', 'touch', '--date=@0', '{}', '+'])
}
