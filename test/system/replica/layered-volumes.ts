/** Directories that stand for the mounted volumes of a replica, for tests that put real overlays over them. */
import { readFileSync } from 'node:fs'
import type { FileSystem } from '../../../src/domain/volume.ts'
import type { MountedVolume } from '../../../src/storage/volume-stack.ts'
import { ext4, GIB, volume } from '../../unit/replica/workloads.ts'

const UUID = 'dd000000-0000-4000-8000-000000000002'

/** Why such a test is skipped. @throws {Error} where it must not be */
export function noOverlay(): string | false {
  if (process.getuid?.() === 0 && readFileSync('/proc/filesystems', 'utf8').includes('\toverlay\n')) return false
  if (process.env['REQUIRE_SYSTEM'] === '1') throw new Error('needs root and a kernel with overlay')
  return 'needs root and a kernel with overlay'
}

/** @param mountPoint the directory @param at where the replica has the volume */
export function mounted(mountPoint: string, at: string, type: FileSystem['type'] = 'ext4', index = 0): MountedVolume {
  const on = volume('sda', 1, at, { ...ext4(UUID, GIB), type }, GIB)
  return { volume: { volume: on, disk: 0, partition: 1, index }, device: `/dev/landfall-test-${at === '/' ? 'root' : 'esp'}`, mountPoint, volumeId: 'x' }
}
