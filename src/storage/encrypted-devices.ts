/**
 * LUKS containers of replicas: made with the identity of the source's and a new passphrase, and opened under a name of the job's own, because a clone may be
 * in the appliance at once. The passphrase goes to the tool's standard input and nowhere else.
 */
import { open, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../clock/clock.ts'
import { probeDevice } from '../command/blkid.ts'
import { formatLuks, openLuks } from '../command/cryptsetup.ts'
import { removeMap } from '../command/dmsetup.ts'
import type { Runner } from '../command/runner.ts'
import { listSignatures } from '../command/wipefs.ts'
import type { PlannedEncryption } from '../domain/replica.ts'
import { AppError } from '../errors/app-error.ts'
import { storageLog } from '../logging/logger.ts'
import { writeFileAtomically } from '../trust/atomic-file.ts'
import { deviceSizeBytes, EDGE_BYTES, hasNode, isBlank } from './block-devices.ts'
import { readDeviceMaps, type DeviceMap } from './device-maps.ts'
import type { EncryptedPlace } from './volume-stack.ts'

interface Parts { runner: Runner, clock: Clock, stateDirectory: string }

const NODES_WAIT_MS = 20_000
const PAUSE_MS = 50
/** What the kernel takes as the name of a map, and nobody takes for a path. */
const MAP_NAME = /^(?!\.{1,2}$|control$)[A-Za-z0-9#+.:=@_-]{1,127}$/
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Why the container cannot be made, or undefined when it can. Pure; validation asks it before a job starts. */
export function whyEncryptionNotMade({ name, type, uuid, label, cipher, keyBits, headerBytes }: PlannedEncryption): string | undefined {
  if (type !== 'LUKS1' && type !== 'LUKS2') return `${name} is encrypted by ${type}, which is not LUKS`
  if (!MAP_NAME.test(name)) return `"${name}" is no name of an unlocked container`
  if (!UUID.test(uuid)) return `"${uuid}" is no UUID`
  if (!/^[A-Za-z0-9 ._:-]{0,47}$/.test(label) || (type === 'LUKS1' && label !== '')) return `its label "${label}" cannot be given`
  if (!/^[a-z0-9_()-]+(?::[a-z0-9]+)?$/.test(cipher) || keyBits < 128 || keyBits > 512 || keyBits % 8 !== 0) return `its cipher "${cipher}" with ${String(keyBits)} bits cannot be made`
  return headerBytes === 0 ? 'its header does not lie before its data' : undefined
}

/** The name under which the job has it open. */
export function openName(jobId: string, { uuid }: Pick<PlannedEncryption, 'uuid'>): string {
  return `${prefixOf(jobId)}${uuid.toLowerCase()}`
}

function prefixOf(jobId: string): string {
  return `luks_${jobId}_`
}

/**
 * Makes what is missing, opens it; see VolumeStack.openEncrypted. A making that was interrupted leaves a header without a key, or half of one: a file of ours
 * tells that nothing of the job was ever written into it, so that it is made again. That file is gone for good before the container is given away.
 */
export async function openEncryptedDevice(parts: Parts, { jobId, device, encryption }: EncryptedPlace, passphrase: string, signal: AbortSignal): Promise<DeviceMap> {
  const reason = whyEncryptionNotMade(encryption)
  if (reason !== undefined) throw new AppError('SOURCE_UNSUPPORTED', `${encryption.name} cannot be encrypted: ${reason}`)
  const name = openName(jobId, encryption)
  const begun = join(parts.stateDirectory, 'encrypting', name)
  const isBegun = await stat(begun).then(() => true, () => false)
  const known = await shownAs(name)
  if (known?.below.includes(device) === true && !isBegun) return known
  if (known !== undefined) await removeMap(parts.runner, name, signal) // half made, or of a disk that went away and came back
  if (!isBegun && await isMade(parts.runner, device, encryption, signal)) return await opened(parts, device, { name, passphrase, encryption }, signal)
  await writeFileAtomically(begun, '')
  await formatLuks(parts.runner, device, encryption, passphrase, signal)
  const map = await opened(parts, device, { name, passphrase, encryption }, signal)
  await blankEdges(map.device)
  await rm(begun)
  await using folder = await open(dirname(begun), 'r')
  await folder.sync()
  storageLog.info({ device, container: encryption.name, type: encryption.type }, 'encrypted container made')
  return map
}

/** What a blank device decrypts to looks like anything but blank. */
async function blankEdges(device: string): Promise<void> {
  const sizeBytes = await deviceSizeBytes(device)
  await using handle = await open(device, 'r+')
  const zeros = Buffer.alloc(Math.min(EDGE_BYTES, sizeBytes))
  for (const position of [0, sizeBytes - zeros.length]) await handle.write(zeros, 0, zeros.length, position)
  await handle.sync()
}

interface Opening { name: string, passphrase: string, encryption: PlannedEncryption }

/** Opens what is there and waits for its node. @throws {AppError} VOLUME_LAYOUT when the passphrase is another one; DISK_NOT_FOUND */
async function opened({ runner, clock }: Parts, device: string, { name, passphrase, encryption }: Opening, signal: AbortSignal): Promise<DeviceMap> {
  if (!await openLuks(runner, device, name, passphrase, signal)) throw new AppError('VOLUME_LAYOUT', `the passphrase that the job keeps does not open ${device} (${encryption.name})`)
  const deadline = clock.now() + NODES_WAIT_MS
  for (;;) {
    const map = await shownAs(name)
    if (map !== undefined && await hasNode(map.device)) return map
    if (clock.now() >= deadline) throw new AppError('DISK_NOT_FOUND', `the kernel does not show what was opened on ${device}`)
    await clock.sleep(PAUSE_MS, signal)
  }
}

/** What the job has open on `device`, if it is. */
export async function openedOn(jobId: string, device: string, encryption: PlannedEncryption): Promise<string> {
  const map = await shownAs(openName(jobId, encryption))
  return map?.below.includes(device) === true ? map.device : device
}

/**
 * Closes what the job has open and nothing lies on, again and again until there is no more.
 * @param but names that stay open
 * @throws {AppError} TOOL_FAILED when one is in use
 */
export async function closeEncrypted({ runner }: Pick<Parts, 'runner'>, jobId: string, but: readonly string[], signal: AbortSignal): Promise<void> {
  for (;;) {
    const maps = await readDeviceMaps()
    const free = maps.filter(map => map.name.startsWith(prefixOf(jobId)) && !but.includes(map.name) && !maps.some(above => above.below.includes(map.device)))
    if (free.length === 0) return
    for (const { name } of free) await removeMap(runner, name, signal)
  }
}

async function shownAs(name: string): Promise<DeviceMap | undefined> {
  return (await readDeviceMaps()).find(map => map.name === name)
}

/** Whether the container is there. @throws {AppError} VOLUME_LAYOUT when the device is neither it nor blank */
async function isMade(runner: Runner, device: string, encryption: PlannedEncryption, signal: AbortSignal): Promise<boolean> {
  const { type, uuid } = await probeDevice(runner, device, signal)
  if (type === 'crypto_LUKS' && uuid.toLowerCase() === encryption.uuid.toLowerCase()) return true
  // a logical volume of the job's own group may lie in a container: what nobody wrote to it is no zeros then
  if ((await listSignatures(runner, device, signal)).length === 0 && (/^\/dev\/dm-\d+$/.test(device) || await isBlank(device, await deviceSizeBytes(device)))) return false
  throw new AppError('VOLUME_LAYOUT', `${device} for the encrypted ${encryption.name} is not blank${type === '' ? '' : ` (it holds ${type} ${uuid})`}; nothing was written`)
}
