/** Makes the plan real, as far as it is not: disks made, attached, partitioned, encrypted, grouped, formatted, mounted. May be repeated from its start. */
import { AppError } from '../errors/app-error.ts'
import type { BuiltReplica, PlannedEncryption, PlannedVolume, ReplicaPlan } from '../domain/replica.ts'
import type { VirtualDisk } from '../domain/target.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import { partitionDevice, placedGroups, type MountedVolume, type VolumeStack } from '../storage/volume-stack.ts'

export interface BuildRequest {
  jobId: string, plan: ReplicaPlan, built: BuiltReplica, hypervisor: Hypervisor, volumes: VolumeStack
  /** of what is encrypted anew; asked for when there is something. @throws {AppError} PASSPHRASE_MISSING */
  passphrase: () => Promise<string>
}

/**
 * @param keep writes down what exists, after each effect; a disk is written down before anything is done with it
 * @returns the mounted volumes, in the order of their indexes
 * @throws {AppError} what Hypervisor and VolumeStack throw; PASSPHRASE_MISSING; VOLUME_LAYOUT when `built` is not of this plan
 */
export async function buildReplica(request: BuildRequest, keep: (built: BuiltReplica) => Promise<void>, signal: AbortSignal): Promise<readonly MountedVolume[]> {
  const { jobId, plan, hypervisor, volumes } = request
  const disks = [...request.built.disks]
  const put = async (i: number, disk: VirtualDisk): Promise<VirtualDisk> => {
    disks[i] = disk
    await keep({ ...request.built, disks: [...disks] })
    return disk
  }
  const devices: string[] = []
  for (const [i, planned] of plan.disks.entries()) {
    signal.throwIfAborted()
    const known = disks[i]
    if (known !== undefined && known.path !== planned.path) throw new AppError('VOLUME_LAYOUT', `the job has made ${known.path}, planned is ${planned.path}`)
    const made = known ?? await put(i, await hypervisor.createDisk(planned.path, planned.sizeBytes, planned.format, signal))
    const attached = await hypervisor.attachDisk(made, signal)
    if (attached.uuid !== made.uuid) await put(i, attached)
    const device = await volumes.deviceOf(attached.uuid, signal)
    await volumes.partition(device, planned, signal)
    devices.push(device)
  }
  const opened = async (device: string, encryption: PlannedEncryption | undefined): Promise<string> =>
    (encryption === undefined ? device : await volumes.openEncrypted({ jobId, device, encryption }, await request.passphrase(), signal))
  const logical = new Map<string, ReadonlyMap<string, string>>()
  for (const { group, devices: on } of placedGroups(plan, devices)) {
    const inside: string[] = []
    for (const [i, { encryption }] of group.physicalVolumes.entries()) inside.push(await opened(on[i] ?? '', encryption))
    logical.set(group.name, await volumes.openGroup({ group, devices: inside }, signal))
  }
  const placed: { volume: PlannedVolume, device: string }[] = []
  for (const volume of plan.volumes) {
    const { logicalVolume: on, disk, partition, encryption } = volume
    placed.push({ volume, device: await opened(on === undefined ? partitionDevice(devices[disk] ?? '', partition) : logical.get(on.group)?.get(on.name) ?? '', encryption) })
  }
  for (const { device, volume } of placed) await volumes.format(device, volume, signal)
  return volumes.mount(jobId, placed, signal)
}
