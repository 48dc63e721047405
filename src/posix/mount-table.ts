/** What is mounted, from /proc/self/mountinfo: the kernel's own word, not a tool's. */
import { readFile } from 'node:fs/promises'

export interface MountEntry {
  /** unique, but given again after an unmount: says nothing about the order */
  id: number
  /** "major:minor" of the file system's device */
  device: string
  /** the directory of the file system that is seen at the mount point */
  root: string
  mountPoint: string
  type: string
  /** the device as the file system names it, or whatever it has instead */
  source: string
}

/** All mounts of this process's namespace in the order of the kernel. */
export async function readMounts(file = '/proc/self/mountinfo'): Promise<readonly MountEntry[]> {
  return parseMounts(await readFile(file, 'utf8'))
}

/** Mounts at or below `directory`, the ones that must go first first: what lies deeper has the longer path. */
export async function mountsBelow(directory: string): Promise<readonly MountEntry[]> {
  const mounts = await readMounts()
  return mounts.filter(m => m.mountPoint === directory || m.mountPoint.startsWith(`${directory}/`)).sort((a, b) => b.mountPoint.length - a.mountPoint.length)
}

/** The mount that is seen at `mountPoint`, or undefined when nothing is mounted exactly there. */
export async function mountAt(mountPoint: string): Promise<MountEntry | undefined> {
  return (await readMounts()).findLast(m => m.mountPoint === mountPoint)
}

/** The mount on which an absolute path without links lies. Pure. */
export function mountHolding<Mount extends Pick<MountEntry, 'mountPoint'>>(mounts: readonly Mount[], path: string): Mount | undefined {
  const holds = ({ mountPoint }: Mount): boolean => mountPoint === '/' || mountPoint === path || path.startsWith(`${mountPoint}/`)
  // of mounts at the same place the last one lies on top
  return mounts.filter(holds).reduce<Mount | undefined>((nearest, mount) => (nearest?.mountPoint.length ?? 0) > mount.mountPoint.length ? nearest : mount, undefined)
}

/** Where file systems of disks are mounted that a program inside `root` has nothing to do with; never the system's own. */
export async function mountsApartFrom(root: string, file?: string): Promise<readonly string[]> {
  const mounts = await readMounts(file)
  const own = new Set(mounts.filter(m => m.mountPoint === '/' || m.mountPoint === '/usr').map(m => m.device))
  return mounts
    .filter(m => (!m.device.startsWith('0:') || m.type === 'btrfs') && !own.has(m.device) && m.mountPoint !== root && !m.mountPoint.startsWith(`${root}/`))
    .map(m => m.mountPoint)
}

/** Reads the text of mountinfo; see proc(5) for its fields. */
export function parseMounts(text: string): readonly MountEntry[] {
  return text.split('\n').flatMap((line): MountEntry[] => {
    const [id, , device, root, mountPoint, ...rest] = line.split(' ')
    const [type, source = ''] = rest.slice(rest.indexOf('-') + 1)
    if (id === undefined || device === undefined || root === undefined || mountPoint === undefined || type === undefined) return []
    return [{ id: Number(id), device, root: unescape(root), mountPoint: unescape(mountPoint), type, source: unescape(source) }]
  })
}

/** The kernel writes blank, tab, newline and backslash as \NNN (octal). */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
