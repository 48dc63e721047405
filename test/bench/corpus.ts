/** Trees to measure with, made from a seed so that every run measures the same. */
import { randomFillSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

/** A source tree's shape: directories of about twenty files of 1 to `largestKiB` KiB, three levels deep; empty files with 0. */
export function makeSmallFiles(root: string, files: number, largestKiB = 16): void {
  const random = lcg(42)
  const noise = Buffer.alloc(1 << 20)
  randomFillSync(noise)
  for (let made = 0, directory = 0; made < files; directory++) {
    const path = join(root, `d${String(directory % 10)}`, `e${String(Math.floor(directory / 10) % 40)}`, `f${String(directory)}`)
    mkdirSync(path, { recursive: true })
    for (let i = 0; i < 20 && made < files; i++, made++) {
      const size = largestKiB === 0 ? 0 : 1024 + Math.floor(random() * (largestKiB - 1) * 1024)
      const at = Math.floor(random() * (noise.length - size))
      writeFileSync(join(path, `file-${String(made)}.c`), noise.subarray(at, at + size))
    }
  }
}

/** Large files of noise. */
export async function makeLargeFiles(root: string, files: number, sizeBytes: number): Promise<void> {
  const piece = Buffer.alloc(4 << 20)
  for (let i = 0; i < files; i++) {
    await using file = await open(join(root, `large-${String(i)}`), 'w')
    for (let at = 0; at < sizeBytes; at += piece.length) {
      randomFillSync(piece)
      await file.write(piece, 0, Math.min(piece.length, sizeBytes - at), at)
    }
  }
}

/** Overwrites a share of the file's 4 KiB blocks with noise, at random places. */
export async function changeBlocks(path: string, sizeBytes: number, share: number): Promise<void> {
  const random = lcg(7)
  const block = Buffer.alloc(4096)
  await using file = await open(path, 'r+')
  const blocks = Math.floor(sizeBytes / block.length)
  for (let i = 0; i < Math.floor(blocks * share); i++) {
    randomFillSync(block)
    await file.write(block, 0, block.length, Math.floor(random() * blocks) * block.length)
  }
}

/** Numerical Recipes' generator: good enough to spread sizes and places. */
function lcg(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
