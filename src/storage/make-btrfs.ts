/**
 * Makes a btrfs as it is on the source: nodes, checksums, features, UUID, label, and the subvolumes that are mounted there, with the default one. It
 * carries a label of ours until all of it is done.
 */
import { mkdir, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createSubvolume, labelBtrfs, setDefaultSubvolume } from '../command/btrfs-make.ts'
import { disableCow } from '../command/chattr.ts'
import { makeBtrfs, type BtrfsOptions } from '../command/mkfs.ts'
import type { Runner } from '../command/runner.ts'
import { wipeSignatures } from '../command/wipefs.ts'
import type { FileSystem, Subvolume } from '../domain/volume.ts'
import { unmount } from '../posix/mounting.ts'
import { mountAt } from '../posix/mount-table.ts'
import { deviceNumber } from './block-devices.ts'
import { mountBtrfs } from './mount-btrfs.ts'

export interface BtrfsRecipe { options: BtrfsOptions, label: string, subvolumes: readonly Subvolume[] }

/** Flags that are set anew when they are needed (a compressed file, a default subvolume), or say what every btrfs of today has. */
const BY_THEMSELVES = new Set(['mixed-backref', 'big-metadata', 'default-subvol', 'compress-lzo', 'compress-zstd', 'compress-lzov2', 'free-space-tree-valid', 'metadata-uuid', 'verity'])
/** name of the flag: of the option of mkfs */
const FEATURES = { 'extended-iref': 'extref', 'skinny-metadata': 'skinny-metadata', 'no-holes': 'no-holes' } as const
const MIXED = 'mixed-groups'
const FREE_SPACE_TREE = 'free-space-tree'

/** Why it cannot be made, or undefined when it can. Pure. */
export function whyBtrfsNotMade({ features, properties, subvolumes = [] }: FileSystem): string | undefined {
  const unknown = features.filter(f => !BY_THEMSELVES.has(f) && !(f in FEATURES) && f !== MIXED && f !== FREE_SPACE_TREE)
  if (unknown.length > 0) return `its features ${unknown.join(', ')} cannot be re-created`
  if (Number(properties['devices'] ?? 1) > 1) return 'it lies on several devices'
  const odd = subvolumes.find(s => !isPlainPath(s.path))
  return odd === undefined ? undefined : `its subvolume ${odd.path} has a name that cannot be re-created`
}

/** A path that means the same to mount's options and below a directory. */
function isPlainPath(path: string): boolean {
  return path.length <= 4000 && path.split('/').every(step => step !== '' && step !== '.' && step !== '..' && !/[,\\"\u0000-\u001f\u007f]/.test(step) && Buffer.byteLength(step) <= 255)
}

/** Pure. */
export function btrfsRecipe({ uuid, label, features, properties, subvolumes = [] }: FileSystem, unfinishedLabel: string): BtrfsRecipe {
  const flag = (name: string, on: boolean): string => (on ? name : `^${name}`)
  const profile = (key: string): 'single' | 'dup' => (properties[key]?.toLowerCase() === 'dup' ? 'dup' : 'single') // others need more devices
  const number = (key: string): number | undefined => { const value = Number(properties[key]); return value > 0 ? value : undefined }
  const nodeSizeBytes = number('nodesize')
  const sectorSizeBytes = number('sectorsize')
  return {
    label, subvolumes: subvolumes.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    options: {
      uuid, label: unfinishedLabel, checksum: properties['checksum'] ?? 'crc32c', data: profile('data'), metadata: profile('metadata'), mixed: features.includes(MIXED),
      features: Object.entries(FEATURES).map(([name, option]) => flag(option, features.includes(name))), runtimeFeatures: [flag(FREE_SPACE_TREE, features.includes(FREE_SPACE_TREE))],
      ...(nodeSizeBytes === undefined ? {} : { nodeSizeBytes }), ...(sectorSizeBytes === undefined ? {} : { sectorSizeBytes }),
    },
  }
}

/** @param placeBelow a directory of the appliance's own: the file system is mounted in it while subvolumes are made */
export async function makeBtrfsVolume(runner: Runner, device: string, recipe: BtrfsRecipe, placeBelow: string, signal: AbortSignal): Promise<void> {
  const place = join(placeBelow, 'formatting', basename(device))
  if (await mountAt(place) !== undefined) await unmount(place) // left by a crash
  await wipeSignatures(runner, device, signal) // mkfs makes none with the UUID of what it finds, also when it made that before
  await makeBtrfs(runner, device, await deviceNumber(device), recipe.options, signal)
  await mkdir(place, { recursive: true, mode: 0o700 })
  await mountBtrfs(device, place, ['rw', 'nosuid', 'nodev', 'noexec'])
  try {
    for (const { path, noCow } of recipe.subvolumes) {
      await mkdir(join(place, path, '..'), { recursive: true, mode: 0o755 })
      await createSubvolume(runner, join(place, path), signal)
      if (noCow) await disableCow(runner, join(place, path), signal)
    }
    const chosen = recipe.subvolumes.find(s => s.default)
    if (chosen !== undefined) await setDefaultSubvolume(runner, join(place, chosen.path), signal)
  } finally {
    await unmount(place) // also after an abort: a mounted device cannot be detached
  }
  await rmdir(place)
  await labelBtrfs(runner, device, recipe.label, signal)
}
