/** A small file system of its own in an image file, mounted in a temporary directory. Needs root. */
import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type LoopType = 'ext4' | 'xfs' | 'btrfs'

const MIB = 1024 * 1024
const FORMAT = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
} as const satisfies Record<LoopType, readonly string[]>

export interface LoopFileSystem extends Disposable {
  readonly type: LoopType
  /** where it is mounted */
  readonly path: string
  /** remounts the file system itself */
  remount(option: 'ro' | 'rw'): void
  /** As when the power goes: what was not flushed is lost, the file system is then mounted again. Nothing may be open on it. `first`: called when the power is off. Not for btrfs. */
  powerLoss(first: () => Promise<void>): Promise<void>
  /** As when the machine is started anew in order: unmounts and mounts it. Nothing may be open on it. `first`: called while it is away. */
  reboot(first: () => void): void
  /** Keeps a copy of its image as it is now; the answer sets the file system back to it. Nothing may be open on it, both times. */
  snapshot(): () => void
}

/** Makes and mounts it, with these options; disposing unmounts and removes it. */
export function mountLoop(type: LoopType, sizeMiB = 512, options?: string, format: readonly string[] = []): LoopFileSystem {
  const base = mkdtempSync(join(tmpdir(), `landfall-${type}-`))
  const image = join(base, 'image')
  const path = join(base, 'mount')
  try {
    const fd = openSync(image, 'w')
    ftruncateSync(fd, sizeMiB * MIB)
    closeSync(fd)
    mkdirSync(path)
    const [tool, ...args] = FORMAT[type]
    execFileSync(tool, [...args, ...format, image], { stdio: ['ignore', 'ignore', 'pipe'] })
    execFileSync('mount', ['-o', options === undefined ? 'loop' : `loop,${options}`, image, path], { stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    rmSync(base, { recursive: true, force: true })
    throw error
  }
  return {
    type, path,
    remount: option => execFileSync('mount', ['-o', `remount,${option}`, path]),
    powerLoss: async first => {
      // not even the journal is written: XFS_IOC_GOINGDOWN, which ext4 knows, too
      execFileSync('xfs_io', ['-x', '-c', 'shutdown', path], { stdio: ['ignore', 'ignore', 'pipe'] })
      await first()
      execFileSync('umount', [path])
      execFileSync('mount', ['-o', 'loop', image, path], { stdio: ['ignore', 'ignore', 'pipe'] })
    },
    reboot: first => {
      execFileSync('umount', [path])
      first()
      execFileSync('mount', ['-o', 'loop', image, path], { stdio: ['ignore', 'ignore', 'pipe'] })
    },
    snapshot: () => {
      const copy = join(base, 'snapshot')
      const offline = (from: string, to: string): void => {
        execFileSync('umount', [path])
        execFileSync('cp', ['--sparse=always', from, to])
        execFileSync('mount', ['-o', 'loop', image, path], { stdio: ['ignore', 'ignore', 'pipe'] })
      }
      offline(image, copy)
      return () => { offline(copy, image) }
    },
    [Symbol.dispose]: () => {
      execFileSync('umount', [path])
      rmSync(base, { recursive: true, force: true })
    },
  }
}

export interface Subvolumes extends Disposable {
  /** where the subvolume is mounted */
  readonly path: string
  /** where the whole file system is */
  readonly top: string
}

/** A btrfs with the subvolumes `@` and `@other`, the first one its default; what `options` say of it is mounted a second time. */
export function mountSubvolume(options: string): Subvolumes {
  const whole = mountLoop('btrfs', 800)
  try {
    for (const name of ['@', '@other']) execFileSync('btrfs', ['-q', 'subvolume', 'create', join(whole.path, name)])
    execFileSync('btrfs', ['subvolume', 'set-default', join(whole.path, '@')])
    const path = mkdtempSync(join(tmpdir(), 'landfall-subvolume-'))
    const device = execFileSync('findmnt', ['-nvo', 'SOURCE', whole.path], { encoding: 'utf8' }).trim()
    execFileSync('mount', ['-o', options, device, path])
    return {
      path, top: whole.path,
      [Symbol.dispose]: () => {
        execFileSync('umount', [path])
        rmSync(path, { recursive: true })
        whole[Symbol.dispose]()
      },
    }
  } catch (error) {
    whole[Symbol.dispose]()
    throw error
  }
}

/** Why tests that mount are skipped, or false. */
export const MOUNT_SKIP: string | false = mountSkip()

function mountSkip(): string | false {
  if (process.getuid?.() === 0) return false
  if (process.env['REQUIRE_SYSTEM'] === '1') throw new Error('needs root to mount file systems')
  return 'needs root to mount file systems'
}
