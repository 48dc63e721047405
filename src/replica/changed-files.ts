/** Which files and directories of the replica a fix-up changed: stamps of all in the places that fix-ups and the guest's tools write to, compared. */
import type { BigIntStats } from 'node:fs'
import type { ChangedFile } from '../domain/replica.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'

/** Directories in which a fix-up, or a tool that it runs, writes. */
const PLACES: readonly ReplicaPath[] = [
  '/etc', '/boot', '/opt/landfall', '/usr/lib/landfall', '/usr/lib/systemd/system', '/var/cache/debconf', '/var/lib/dhcp', '/var/lib/grub', '/var/lib/initramfs-tools',
  '/var/lib/landfall', '/var/lib/landfall-agent', '/var/lib/landfall-first-boot', '/var/lib/systemd', '/var/lib/ucf', '/var/log/landfall',
]

/** Directories in which only an entry may be added. */
const PARENTS: readonly ReplicaPath[] = ['/', '/opt', '/usr/lib', '/usr/lib/systemd', '/var', '/var/cache', '/var/lib', '/var/log', '/var/tmp']

interface Stamp { stamp: string, hash: string }
export type Snapshot = ReadonlyMap<ReplicaPath, Stamp>

/** @param earlier files that look the same keep the hash known from there */
export async function takeSnapshot(files: ReplicaFiles, signal: AbortSignal, earlier: Snapshot = new Map()): Promise<Snapshot> {
  const found = new Map<ReplicaPath, Stamp>()
  const visit = async (path: ReplicaPath): Promise<void> => {
    signal.throwIfAborted()
    const stats = await files.stats(path, 'stay')
    if (stats === undefined) return
    if (stats.isDirectory()) {
      found.set(path, { stamp: directoryStamp(stats), hash: '' })
      for (const name of await files.names(path)) await visit(`${path}/${name}`)
      return
    }
    const stamp = stampOf(stats)
    const known = earlier.get(path)
    found.set(path, known?.stamp === stamp ? known : { stamp, hash: await files.hash(path) })
  }
  for (const place of PLACES) await visit(place)
  for (const path of PARENTS) {
    const stats = await files.stats(path, 'stay')
    if (stats?.isDirectory() === true) found.set(path, { stamp: directoryStamp(stats), hash: '' })
  }
  return found
}

/** What is different, by path. A directory is, when an entry came or went: its time is not the source's any more. A file whose content came out the same is still listed: its times are not the source's any more. */
export function changedFiles(before: Snapshot, after: Snapshot): ChangedFile[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort()
  return paths.flatMap(path => {
    const [was, is] = [before.get(path), after.get(path)]
    return was?.stamp === is?.stamp ? [] : [{ path, before: was?.hash ?? '', after: is?.hash ?? '' }]
  })
}

function directoryStamp(s: BigIntStats): string {
  return [s.dev, s.ino, s.mode, s.uid, s.gid, s.mtimeNs].join(':')
}

function stampOf(s: BigIntStats): string {
  return [s.dev, s.ino, s.mode, s.uid, s.gid, s.size, s.mtimeNs, s.ctimeNs].join(':')
}
