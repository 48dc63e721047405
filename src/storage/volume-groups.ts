/**
 * Volume groups of LVM on the appliance's disks. A group is looked at through its own devices alone, whatever else is in the appliance; it is
 * written as a whole, as the metadata of the plan, so that a crash in the middle is mended by writing it again. Its maps are found and taken
 * away by what the kernel says, which needs no metadata and no disk that still answers.
 */
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock/clock.ts'
import { InTurn } from '../clock/in-turn.ts'
import { removeMap } from '../command/dmsetup.ts'
import { activateGroup, makePhysicalVolume, readPhysicalVolume, readSegments, restoreGroup } from '../command/lvm-make.ts'
import type { Runner } from '../command/runner.ts'
import { listSignatures } from '../command/wipefs.ts'
import type { PlannedVolumeGroup } from '../domain/replica.ts'
import { AppError } from '../errors/app-error.ts'
import { storageLog } from '../logging/logger.ts'
import { deviceSizeBytes, hasNode, isBlank } from './block-devices.ts'
import { logicalMapUuid, mapsAbove, readDeviceMaps, type DeviceMap } from './device-maps.ts'
import { lvmMetadata, physicalBytes, whyGroupNotMade, type GroupIdentity } from './lvm-metadata.ts'
import type { PlacedGroup } from './volume-stack.ts'

export interface GroupParts { runner: Runner, clock: Clock, stateDirectory: string }

/** of a physical volume: nothing, no group, or the group under one of its identities */
type Held = 'blank' | 'alone' | GroupIdentity

const NODES_WAIT_MS = 20_000
const PAUSE_MS = 50
/** Handing over makes groups of clones equal: one after another for each name. */
const turns = new Map<string, InTurn>()

/** Makes what is missing and shows the logical volumes; see VolumeStack.openGroup. */
export async function openVolumeGroup(parts: GroupParts, placed: PlacedGroup, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const { group, devices } = placed
  const reason = whyGroupNotMade(group)
  if (reason !== undefined) throw new AppError('SOURCE_UNSUPPORTED', `volume group ${group.name} cannot be made: ${reason}`)
  const held = await lookAt(parts, placed, signal)
  if (held.every(h => h === 'temporary')) await checkLayout(parts, group, devices, signal)
  else {
    await closeMaps(parts, mapsOf(await readDeviceMaps(), placed), signal)
    await inFile(parts, group, 'temporary', devices, async file => {
      for (const [i, p] of group.physicalVolumes.entries()) if (held[i] === 'blank') await makePhysicalVolume(parts.runner, devices[i] ?? '', p.uuid, file, signal)
      await restoreGroup(parts.runner, group.temporaryName, file, devices, signal)
    })
    storageLog.info({ group: group.name, as: group.temporaryName, devices }, 'volume group made')
  }
  // of disks that went away and came back: the maps lead to what is gone
  await closeMaps(parts, mapsOf(await readDeviceMaps(), placed).filter(map => map.below.some(below => !devices.includes(below))), signal)
  await activateGroup(parts.runner, group.temporaryName, devices, signal)
  return await shown(parts, group, signal)
}

/**
 * Gives the groups, whose maps must be closed, their final names and identifiers; nothing for those that have them.
 * @throws {AppError} VOLUME_LAYOUT when a device does not hold the group; TOOL_FAILED when a logical volume is in use
 */
export async function handOverGroups(parts: GroupParts, groups: readonly PlacedGroup[], signal: AbortSignal): Promise<void> {
  for (const placed of groups) {
    const { group, devices } = placed
    const turn = turns.get(group.name) ?? new InTurn()
    turns.set(group.name, turn)
    await turn.run(async () => {
      const held = await lookAt(parts, placed, signal)
      const other = devices[held.findIndex(h => h === 'blank' || h === 'alone')]
      if (other !== undefined) throw new AppError('VOLUME_LAYOUT', `${other} holds no part of volume group ${group.name}, which cannot be handed over`)
      if (!held.every(h => h === 'final')) await inFile(parts, group, 'final', devices, async file => restoreGroup(parts.runner, group.name, file, devices, signal))
      await closeMaps(parts, mapsOf(await readDeviceMaps(), placed), signal) // an appliance may be set up to show every group that it sees
    })
    storageLog.info({ group: group.name, was: group.temporaryName, devices }, 'volume group handed over')
  }
}

/**
 * Takes away the maps of all logical volumes on `disks`, and of the whole groups of which some are `used` (numbers of devices, "major:minor").
 * @throws {AppError} TOOL_FAILED when one is in use
 */
export async function closeGroups(parts: GroupParts, disks: readonly string[], used: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  const maps = await readDeviceMaps()
  const logical = maps.filter(map => map.uuid.startsWith(logicalMapUuid('')))
  const groups = new Set(logical.filter(map => used.has(map.number) && map.name.startsWith(OURS)).map(groupOf))
  const onDisks = mapsAbove(maps, disks)
  await closeMaps(parts, logical.filter(map => onDisks.includes(map) || groups.has(groupOf(map))), signal)
}

/** "LVM-" and the 32 characters of the group's identifier. */
function groupOf({ uuid }: DeviceMap): string {
  return uuid.slice(0, logicalMapUuid('').length + GROUP_CHARACTERS)
}

const GROUP_CHARACTERS = 32
/** Temporary names begin so. */
const OURS = 'm_'

/** What each device of the group holds. @throws {AppError} VOLUME_LAYOUT when that is something else */
async function lookAt({ runner }: GroupParts, { group, devices }: PlacedGroup, signal: AbortSignal): Promise<readonly Held[]> {
  const held: Held[] = []
  for (const [i, planned] of group.physicalVolumes.entries()) {
    const device = devices[i] ?? ''
    const sizeBytes = await deviceSizeBytes(device)
    const needed = physicalBytes(planned)
    if (sizeBytes < needed) throw new AppError('VOLUME_LAYOUT', `${device} has ${String(sizeBytes)} bytes, planned are ${String(needed)} for a physical volume of ${group.name}`)
    const found = await readPhysicalVolume(runner, device, signal)
    const as = found === undefined ? undefined : found.groupUuid === '' ? 'alone' : found.groupUuid === group.temporaryUuid ? 'temporary' : found.groupUuid === group.uuid ? 'final' : undefined
    if (found === undefined && (await listSignatures(runner, device, signal)).length === 0 && await isBlank(device, sizeBytes)) held.push('blank')
    else if (found?.uuid === planned.uuid && as !== undefined) held.push(as)
    else throw new AppError('VOLUME_LAYOUT', `${device} holds ${found === undefined ? 'something that is no physical volume' : `physical volume ${found.uuid} of group ${found.groupName}`}, planned is ${planned.uuid} of ${group.name}; nothing was written`)
  }
  return held
}

/** @throws {AppError} VOLUME_LAYOUT when the logical volumes are not the planned ones */
async function checkLayout({ runner }: GroupParts, group: PlannedVolumeGroup, devices: readonly string[], signal: AbortSignal): Promise<void> {
  const found: string[] = []
  for (const { areas, ...segment } of await readSegments(runner, group.temporaryName, devices, signal)) {
    const on: [number, number][] = []
    for (const { device, startExtent } of areas) on.push([await numberOf(device), startExtent])
    found.push(JSON.stringify({ ...segment, on }))
  }
  const numbers = await Promise.all(devices.map(numberOf))
  const planned = group.logicalVolumes.flatMap(({ name, temporaryUuid, segments }) => {
    let startExtent = 0
    return segments.map(({ extents, stripeSizeBytes, areas }) => {
      startExtent += extents
      return JSON.stringify({ name, uuid: temporaryUuid, startExtent: startExtent - extents, extents, stripeSizeBytes: areas.length === 1 ? 0 : stripeSizeBytes, on: areas.map(a => [numbers[a.physicalVolume], a.startExtent]) })
    })
  })
  const differs = planned.find(s => !found.includes(s)) ?? found.find(s => !planned.includes(s))
  if (differs !== undefined) throw new AppError('VOLUME_LAYOUT', `the logical volumes of ${group.temporaryName} on ${devices.join(', ')} are not those that are planned for ${group.name}: ${differs}; nothing was written`)
}

/** LVM calls a device as it likes: by a link, or by another node. @returns 0 for what is none */
async function numberOf(device: string): Promise<number> {
  return await stat(device).then(found => found.rdev, () => 0)
}

/** Its final identifiers may be those of another group of this machine, too. */
function mapsOf(maps: readonly DeviceMap[], { group, devices }: PlacedGroup): readonly DeviceMap[] {
  return maps.filter(({ uuid, below }) => uuid.startsWith(logicalMapUuid(group.temporaryUuid)) || (uuid.startsWith(logicalMapUuid(group.uuid)) && below.some(device => devices.includes(device))))
}

async function closeMaps({ runner }: GroupParts, maps: readonly DeviceMap[], signal: AbortSignal): Promise<void> {
  for (const { name } of maps) await removeMap(runner, name, signal)
}

/** Waits for the nodes. @throws {AppError} DISK_NOT_FOUND */
async function shown({ clock }: GroupParts, group: PlannedVolumeGroup, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const deadline = clock.now() + NODES_WAIT_MS
  for (;;) {
    const maps = await readDeviceMaps()
    const found = new Map<string, string>()
    for (const { name, temporaryUuid } of group.logicalVolumes) {
      const device = maps.find(({ uuid }) => uuid === logicalMapUuid(group.temporaryUuid, temporaryUuid))?.device
      if (device !== undefined && await hasNode(device)) found.set(name, device)
    }
    if (found.size === group.logicalVolumes.length) return found
    if (clock.now() >= deadline) throw new AppError('DISK_NOT_FOUND', `the kernel does not show all logical volumes of ${group.temporaryName}`)
    await clock.sleep(PAUSE_MS, signal)
  }
}

/** LVM reads metadata from files only. */
async function inFile({ stateDirectory }: GroupParts, group: PlannedVolumeGroup, identity: GroupIdentity, devices: readonly string[], work: (file: string) => Promise<void>): Promise<void> {
  const folder = join(stateDirectory, 'volume-groups')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, `${group.temporaryName}-${identity}`)
  await writeFile(file, lvmMetadata(group, identity, devices), { mode: 0o600 })
  try {
    await work(file)
  } finally {
    await rm(file, { force: true })
  }
}
