/** Loop file systems of which something is damaged while they are not mounted. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { LoopFileSystem } from './loop-file-system.ts'

export const run = (tool: string, ...args: string[]): string => execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

export const imageOf = (volume: LoopFileSystem): string => join(dirname(volume.path), 'image')

/** Overwrites some bytes of an unmounted image. */
export function spoil(image: string, offset: number, bytes: number): void {
  const fd = openSync(image, 'r+')
  writeSync(fd, randomBytes(bytes), 0, bytes, offset)
  closeSync(fd)
}

/** Does something to the image while it is not mounted. */
export function unmounted(volume: LoopFileSystem, work: (image: string) => void): void {
  run('umount', volume.path)
  try {
    work(imageOf(volume))
  } finally {
    run('mount', '-o', 'loop', imageOf(volume), volume.path)
  }
}

/** Spoils the blocks of an ext file system, unmounted, in which these paths' extended attributes are. */
export function spoilAttributes(image: string, paths: readonly string[]): void {
  const blockBytes = Number(/Block size:\s+(\d+)/.exec(run('dumpe2fs', '-h', image))?.[1])
  for (const path of paths) spoil(image, Number(/File ACL: ([1-9]\d*)/.exec(run('debugfs', '-R', `stat /${path}`, image))?.[1]) * blockBytes, 32)
}
