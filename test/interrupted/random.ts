/** Random numbers that a seed repeats, and a tree made of them. */
import { randomBytes } from 'node:crypto'
import { appendFileSync, closeSync, existsSync, ftruncateSync, linkSync, mkdirSync, openSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export class Random {
  #state: number
  constructor(seed: number) { this.#state = seed >>> 0 }

  /** 0 (inclusive) to 1; mulberry32 */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** 0 to below */
  below(limit: number): number { return Math.floor(this.next() * limit) }
  chance(share: number): boolean { return this.next() < share }
  pick<T>(all: readonly [T, ...T[]]): T { return all[this.below(all.length)] ?? all[0] }
}

/** Small and large files, some in many directories, hard links across them, a sparse file, symbolic links. Their number and sizes are random, their data need not be repeatable. */
export function fillTree(root: string, random: Random): void {
  const directories = ['.']
  for (let i = 0; i < 12; i++) {
    const directory = join(random.pick(directories as [string, ...string[]]), `directory ${String(i)}`)
    mkdirSync(join(root, directory))
    directories.push(directory)
  }
  const files: string[] = []
  const place = (): string => join(root, directories[random.below(directories.length)] ?? '.', `name-${String(files.length)}`)
  for (let i = 0; i < 120; i++) {
    const path = place()
    files.push(path)
    if (random.chance(0.1) && i > 0) linkSync(files[random.below(i)] ?? path, path)
    else if (random.chance(0.05)) symlinkSync(`target ${String(i)}`, path)
    else {
      writeFileSync(path, randomBytes(random.below(random.chance(0.1) ? 400_000 : 16_000)))
      if (random.chance(0.5)) utimesSync(path, 1_600_000_000 + i, 1_600_000_000 + i + 0.25)
    }
  }
  for (let i = 0; i < 2; i++) writeFileSync(join(root, `large-${String(i)}`), randomBytes(1_000_000 + random.below(7_000_000)))
  const sparse = openSync(join(root, 'sparse'), 'w')
  ftruncateSync(sparse, 60_000_000)
  for (let i = 0; i < 5; i++) writeSync(sparse, randomBytes(200_000), 0, 200_000, random.below(59_000_000))
  closeSync(sparse)
}

/** A few things happen to the tree. */
export function changeTree(root: string, random: Random): void {
  const large = join(root, 'large-0')
  if (existsSync(large)) {
    const fd = openSync(large, 'r+')
    for (let i = 0; i < 10; i++) writeSync(fd, randomBytes(5000), 0, 5000, random.below(statSync(large).size))
    closeSync(fd)
  }
  if (random.chance(0.5)) appendFileSync(join(root, 'large-1'), randomBytes(random.below(300_000)))
  else truncateSync(join(root, 'large-1'), random.below(900_000))
  const directory = join(root, `directory ${String(random.below(12))}`)
  if (existsSync(directory)) {
    if (random.chance(0.5)) rmSync(directory, { recursive: true })
    else renameSync(directory, join(root, `renamed ${String(random.below(1_000_000))}`))
  }
  writeFileSync(join(root, `new-${String(random.below(1_000_000))}`), randomBytes(random.below(50_000)))
}
