/** Changes one byte of one file on a replica's disk behind everybody's back: the comparison must find it, or it proves nothing. */
import { mkdir, open, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { VolumePair } from './compare.ts'
import { placeOf, withLoops } from './places.ts'
import type { RunDirectory } from './run-directory.ts'
import { tool } from './tool.ts'

/** `path` is relative to the volume and names a file whose first block is on the disk. Size, times and all other metadata stay. */
export async function spoilOneByte(run: RunDirectory, pair: VolumePair, path: string): Promise<void> {
  const view = join(run.path, 'spoil')
  await mkdir(view)
  const place = await placeOf(pair.replicaDisk, pair.partition)
  const sector = await withLoops([place], async ([device = '']) => {
    try {
      await tool('mount', ['-t', pair.type, '-o', pair.type === 'xfs' ? 'ro,norecovery,nouuid' : 'ro,noload', device, view])
      const { stdout } = await tool('filefrag', ['-v', '-b512', join(view, path)])
      return /^\s*0:\s+0\.\.\s*\d+:\s+(\d+)\.\./m.exec(stdout)?.[1]
    } finally {
      await tool('umount', [view], { allowedExitCodes: [32] })
    }
  }, { readOnly: true })
  await rmdir(view)
  if (sector === undefined) throw new Error(`${path} has no block at its beginning`)
  const offset = place.offsetBytes + Number(sector) * 512 + 10
  const disk = await open(pair.replicaDisk, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await disk.read(byte, 0, 1, offset)
    byte[0] = (byte[0] ?? 0) ^ 0x01
    await disk.write(byte, 0, 1, offset)
    await disk.sync()
  } finally {
    await disk.close()
  }
}
