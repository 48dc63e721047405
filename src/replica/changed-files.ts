/** Which files and directories of the replica a fix-up changed: stamps of all in the places that fix-ups and the guest's tools write to, compared. */
import type { BigIntStats } from 'node:fs'
import type { ChangedFile } from '../domain/replica.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'
import { textDiff } from './text-diff.ts'

/** Directories in which a fix-up, or a tool that it runs, writes. */
const PLACES: readonly ReplicaPath[] = [
  '/.autorelabel', '/etc', '/boot', '/opt/landfall', '/usr/lib/landfall', '/usr/lib/systemd/system', '/var/cache/debconf', '/var/lib/NetworkManager', '/var/lib/dhclient', '/var/lib/dhcp', '/var/lib/grub', '/var/lib/initramfs-tools', '/var/lib/multipath', '/var/lib/rpm',
  '/var/lib/landfall', '/var/lib/landfall-agent', '/var/lib/landfall-first-boot', '/var/lib/systemd', '/var/lib/ucf', '/var/log/landfall',
]

/** Directories in which only an entry may be added. */
const PARENTS: readonly ReplicaPath[] = ['/', '/opt', '/usr/lib', '/usr/lib/systemd', '/var', '/var/cache', '/var/lib', '/var/log', '/var/tmp']

/** Larger files are no configuration. */
const MAX_TEXT_BYTES = 64n << 10n
/** Of one file, and of all that one fix-up changes. */
const MAX_DIFF_CHARACTERS = 4000
const MAX_DIFFS_CHARACTERS = 30_000

interface Stamp { stamp: string, hash: string, text?: string | undefined }
export type Snapshot = ReadonlyMap<ReplicaPath, Stamp>

/** @param earlier files that look the same keep the hash known from there @param texts keep the content of small text files, for a diff */
export async function takeSnapshot(files: ReplicaFiles, signal: AbortSignal, earlier: Snapshot = new Map(), texts = false): Promise<Snapshot> {
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
    found.set(path, known?.stamp === stamp ? known : { stamp, hash: await files.hash(path), text: texts && stats.size <= MAX_TEXT_BYTES ? await textOf(files, path) : undefined })
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
  let room = MAX_DIFFS_CHARACTERS
  return paths.flatMap(path => {
    const [was, is] = [before.get(path), after.get(path)]
    if (was?.stamp === is?.stamp) return []
    const diff = was?.text === undefined && is?.text === undefined ? '' : textDiff(was?.text ?? '', is?.text ?? '', Math.min(MAX_DIFF_CHARACTERS, room))
    room -= diff.length
    return [{ path, before: was?.hash ?? '', after: is?.hash ?? '', ...(diff === '' ? {} : { diff }) }]
  })
}

/** undefined for what is no text; a link is not followed. Bytes that are no UTF-8 show as such. */
async function textOf(files: ReplicaFiles, path: ReplicaPath): Promise<string | undefined> {
  if (await files.kind(path, 'stay') !== 'file') return undefined
  const text = await files.text(path) ?? ''
  return text.includes('\0') ? undefined : Buffer.from(text, 'latin1').toString('utf8')
}

function directoryStamp(s: BigIntStats): string {
  return [s.dev, s.ino, s.mode, s.uid, s.gid, s.mtimeNs].join(':')
}

function stampOf(s: BigIntStats): string {
  return [s.dev, s.ino, s.mode, s.uid, s.gid, s.size, s.mtimeNs, s.ctimeNs].join(':')
}
