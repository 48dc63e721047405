/** The mounts at or below the source's root, from the kernel's mountinfo. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isSystemError, type Report } from './findings.ts'

export interface Mount {
  /** as the source sees it: '/', '/boot' */
  mountPoint: string
  /** where it is mounted for us */
  hostPath: string
  majorMinor: string
  /** directory of the file system that is mounted; '/' for all of it */
  fileSystemRoot: string
  type: string
  source: string
  /** options of the mount and of the file system, each once */
  options: string
}

/** Reads `proc`/self/mountinfo; no finding for mounts elsewhere. Of several mounts over each other the last one counts. */
export async function readMounts(proc: string, root: string, report: Report): Promise<Mount[]> {
  try {
    return mountsBelow(await readFile(join(proc, 'self/mountinfo'), 'utf8'), root, report)
  } catch (error) {
    if (!isSystemError(error)) throw error
    report({ code: 'DISCOVERY_INCOMPLETE', severity: 'error', subject: 'mounts', message: `mounts could not be read: ${error.message}`, advice: 'Check that /proc is mounted on the source.' })
    return []
  }
}

/** Pure part of readMounts; sorted by mount point. */
export function mountsBelow(mountinfo: string, root: string, report: Report): Mount[] {
  const found = new Map<string, Mount>()
  const prefix = root === '/' ? '' : root
  for (const line of mountinfo.split('\n')) {
    const mount = parseLine(line)
    if (mount === undefined) continue
    if (mount.hostPath !== root && !mount.hostPath.startsWith(`${prefix}/`)) continue
    const mountPoint = mount.hostPath.slice(prefix.length) || '/'
    if (mountPoint.includes('\uFFFD')) {
      report({
        code: 'MOUNT_POINT_NAME', severity: 'warning', subject: mountPoint, message: `the mount point ${mountPoint} is not valid UTF-8; the volume is left out`,
        advice: 'Mount the volume at a place with a readable name if it is to be migrated.',
      })
      continue
    }
    found.set(mountPoint, { ...mount, mountPoint })
  }
  return [...found.values()].sort((a, b) => (a.mountPoint < b.mountPoint ? -1 : 1))
}

/** "36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue", see proc(5). */
function parseLine(line: string): Omit<Mount, 'mountPoint'> | undefined {
  const [left, right] = split2(line, ' - ')
  const [, , majorMinor, fileSystemRoot, hostPath, own] = left.split(' ')
  const [type, source, shared] = right.split(' ')
  if (majorMinor === undefined || fileSystemRoot === undefined || hostPath === undefined || own === undefined || type === undefined || source === undefined) return undefined
  const options = [...new Set([...own.split(','), ...(shared ?? '').split(',')])].filter(o => o !== '')
  // a read-only mount of a writable file system says both
  const kept = options.includes('ro') ? options.filter(o => o !== 'rw') : options
  return { majorMinor, fileSystemRoot: unescapeOctal(fileSystemRoot), hostPath: unescapeOctal(hostPath), type, source: unescapeOctal(source), options: kept.join(',') }
}

function split2(line: string, separator: string): [string, string] {
  const at = line.indexOf(separator)
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + separator.length)]
}

/** Blank, tab, newline and backslash stand as \040 and so on in mountinfo and fstab. */
export function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}
