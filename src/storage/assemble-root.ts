/**
 * Shows the volumes of a job nested as the replica will see them, with what its own programs need around them: a /dev with the job's disks and
 * nothing else, a read-only /sys without firmware (the appliance's says nothing about the replica), empty /run and /tmp. The tree comes from
 * the source and is not trusted: every step to a mount point is checked to be a directory, no link is followed.
 */
import { chmod, lstat, mkdir, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { probeDevice } from '../command/blkid.ts'
import { mapNameOf } from '../command/lvm.ts'
import { AppError } from '../errors/app-error.ts'
import { bindMount, makeNode, mountVirtual, remountBind } from '../posix/mounting.ts'
import { deviceNumber, kernelPartitions } from './block-devices.ts'
import { mapsAbove, readDeviceMaps } from './device-maps.ts'
import { makeMountPoint, placeOf, preparePlace, unmountBelow, type MountParts } from './mount-volumes.ts'
import type { MountedVolume } from './volume-stack.ts'

const ROOT = 'root'
const NO_DEVICES = ['nosuid', 'nodev']
/** Character devices that programs expect: name, major, minor. */
const NODES = [['null', 1, 3], ['zero', 1, 5], ['full', 1, 7], ['random', 1, 8], ['urandom', 1, 9], ['tty', 5, 0]] as const
const LINKS = [['/proc/self/fd', 'fd'], ['/proc/self/fd/0', 'stdin'], ['/proc/self/fd/1', 'stdout'], ['/proc/self/fd/2', 'stderr']] as const
/** Names below /dev that no volume group has: their links would lie among others. */
const RESERVED: ReadonlySet<string> = new Set(['shm', 'pts', 'mapper', 'disk'])
/** Directories at the top that a file-level copy may lack, and their modes (cutover.md C26). */
const TOP_DIRECTORIES = [['proc', 0o555], ['sys', 0o555], ['dev', 0o755], ['run', 0o755], ['tmp', 0o1777], ['mnt', 0o755], ['media', 0o755]] as const

/** Below a plain /dev, which no devtmpfs covers before init runs: name, major, minor, mode (cutover.md C26). */
const PLAIN_NODES = [['console', 5, 1, 0o600], ['null', 1, 3, 0o666]] as const

export interface ShownDevices {
  /** the replica itself has nodes below /dev */
  plainDev: boolean
  disks: readonly string[]
  /** of logical volumes, and of what is opened (without a group), by the uuid of their map; one that is not known is not shown */
  finalNames: ReadonlyMap<string, { group?: string, name: string }>
}

/** @returns the assembled root @throws {AppError} VOLUME_LAYOUT */
export async function assembleRoot(parts: MountParts, jobId: string, mounted: readonly MountedVolume[], shown: ShownDevices, signal: AbortSignal): Promise<string> {
  const place = await preparePlace(parts, jobId)
  const root = join(place, ROOT)
  await unmountBelow(parts, root, signal) // a half-made one of an earlier try: cheap to make again, dear to compare
  await makeMountPoint(place, ROOT)
  const ordered = mounted.map(m => ({ ...m, steps: stepsTo(m) })).sort((a, b) => a.steps.length - b.steps.length || a.steps.join('/').localeCompare(b.steps.join('/')))
  if (ordered[0]?.steps.length !== 0) throw new AppError('VOLUME_LAYOUT', 'no volume of the job is the root of the replica')
  for (const { mountPoint, steps } of ordered) {
    const at = await directory(root, steps, 0o755)
    await bindMount(mountPoint, at)
    await remountBind(at, [...NO_DEVICES, 'exec', 'noatime']) // the replica's own programs run here, in runInRoot only
  }
  for (const [name, mode] of TOP_DIRECTORIES) await directory(root, [name], mode)
  if (shown.plainDev) await makePlainNodes(join(root, 'dev'))
  await makeDev(parts, root, shown, signal)
  await mountVirtual('sysfs', join(root, 'sys'), ['ro', 'noexec', ...NO_DEVICES])
  if (await isDirectory(join(root, 'sys/firmware'))) await mountVirtual('tmpfs', join(root, 'sys/firmware'), ['ro', 'size=4k', 'noexec', ...NO_DEVICES])
  await mountVirtual('tmpfs', join(root, 'run'), ['mode=0755', 'size=64m', 'noexec', ...NO_DEVICES])
  await mountVirtual('tmpfs', join(root, 'tmp'), ['mode=1777', 'size=2g', ...NO_DEVICES])
  return root
}

/** Takes the assembled root away; the volumes stay mounted. */
export async function disassembleRoot(parts: MountParts, jobId: string, signal: AbortSignal): Promise<void> {
  await unmountBelow(parts, join(placeOf(parts.stateDirectory, jobId), ROOT), signal)
}

function stepsTo({ volume }: MountedVolume): readonly string[] {
  const steps = (volume.volume.mountPoint ?? '').split('/').filter(step => step !== '')
  if (volume.volume.mountPoint === undefined || steps.includes('..') || steps.includes('.')) {
    throw new AppError('VOLUME_LAYOUT', `${volume.volume.name} has no mount point on the replica`)
  }
  return steps
}

/** The directory at `steps` below `root`; made where it is missing. @throws {AppError} VOLUME_LAYOUT when a step is a link or no directory */
async function directory(root: string, steps: readonly string[], mode: number): Promise<string> {
  let at = root
  for (const step of steps) {
    at = join(at, step)
    const found = await lstat(at).catch(() => undefined)
    if (found === undefined) {
      await mkdir(at)
      await chmod(at, mode) // whatever the umask
    }
    if (found?.isDirectory() === false) throw new AppError('VOLUME_LAYOUT', `/${steps.join('/')} of the replica is no directory; it cannot be a mount point`)
  }
  return at
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() ?? false
}

async function makePlainNodes(dev: string): Promise<void> {
  for (const [name, major, minor, mode] of PLAIN_NODES) {
    const path = join(dev, name)
    if (await lstat(path).catch(() => undefined) === undefined) await makeNode(path, 'character', major, minor, mode)
  }
}

/** nodev is off here only: the nodes are ours, and mknod is among what the replica's programs cannot do. */
async function makeDev({ runner }: MountParts, root: string, { disks, finalNames }: ShownDevices, signal: AbortSignal): Promise<void> {
  const dev = join(root, 'dev')
  await mountVirtual('tmpfs', dev, ['mode=0755', 'size=1m', 'nosuid', 'noexec'])
  for (const [name, major, minor] of NODES) await makeNode(join(dev, name), 'character', major, minor, 0o666)
  for (const [target, name] of LINKS) await symlink(target, join(dev, name))
  for (const folder of ['shm', 'pts', 'mapper', 'disk', 'disk/by-uuid', 'disk/by-partuuid']) await mkdir(join(dev, folder), { mode: 0o755 })
  const whole = (await Promise.all(disks.map(async disk => [disk, ...(await kernelPartitions(disk)).map(p => p.device)]))).flat()
  const maps = mapsAbove(await readDeviceMaps(), disks).flatMap(map => { const final = finalNames.get(map.uuid); return final === undefined ? [] : [{ ...map, final }] })
  const signatures = new Map(await Promise.all([...whole, ...maps.map(({ device }) => device)].map(async device => [device, await probeDevice(runner, device, signal)] as const)))
  const show = async (device: string, path: string): Promise<void> => {
    const [major, minor] = (await deviceNumber(device)).split(':').map(Number)
    await makeNode(join(dev, path), 'block', major ?? 0, minor ?? 0, 0o660)
    await linkOnce(`../../${path}`, join(dev, 'disk/by-uuid'), signatures.get(device)?.uuid ?? '')
    await linkOnce(`../../${path}`, join(dev, 'disk/by-partuuid'), signatures.get(device)?.partitionUuid ?? '')
  }
  for (const device of whole) await show(device, basename(device))
  for (const { device, final: { group, name } } of maps) {
    const mapper = `mapper/${group === undefined ? name : mapNameOf(group, name)}`
    await show(device, mapper)
    await linkOnce(mapper, dev, basename(device)) // the kernel's name, which mounts show
    if (group === undefined || RESERVED.has(group)) continue
    if (await lstat(join(dev, group)).catch(() => undefined) === undefined) await mkdir(join(dev, group), { mode: 0o755 })
    if (await isDirectory(join(dev, group))) await linkOnce(`../${mapper}`, join(dev, group), name)
  }
}

/** udev's link; of two devices with the same identifier the first keeps it. */
async function linkOnce(target: string, folder: string, name: string): Promise<void> {
  if (!/^[0-9A-Za-z+_.-]+$/.test(name) || await lstat(join(folder, name)).catch(() => undefined) !== undefined) return
  await symlink(target, join(folder, name))
}
