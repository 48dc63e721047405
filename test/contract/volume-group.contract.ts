/**
 * What every VolumeStack promises of volume groups. Plain functions that throw, because the real one runs in a guest (lvm-guest.test.ts): the host has no
 * device mapper.
 */
import assert from 'node:assert/strict'
import type { PlannedVolumeGroup } from '../../src/domain/replica.ts'
import { isAppError } from '../../src/errors/app-error.ts'
import { planReplica } from '../../src/replica/plan.ts'
import type { PlacedGroup, VolumeStack } from '../../src/storage/volume-stack.ts'
import { readSource } from '../unit/replica/source-text.ts'
import { options, places } from '../unit/replica/workloads.ts'

export interface OpenGroupStack {
  stack: VolumeStack
  /** two blank disks of 64 MiB */
  devices: readonly [string, string]
  /** puts bytes on the device that no plan knows */
  scribble(device: string): void
}

const JOB = 'group-job'
const signal = (): AbortSignal => AbortSignal.timeout(120_000)
const TEXT = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk vda 64M none\ndisk vdb 64M none\nvg g-1 vda,vdb extent=1M\nlv g-1/wide 80M\nlv g-1/striped 20M striped stripes=2,64K\nfs / g-1/wide ext4:2016\nfs /s g-1/striped ext4:2016\n'

function placed({ devices }: OpenGroupStack, name = 'contract', change: (group: PlannedVolumeGroup) => PlannedVolumeGroup = group => group): { placed: PlacedGroup, plan: ReturnType<typeof planReplica> } {
  const { workload, layout } = readSource(name, TEXT)
  const plan = planReplica({ jobId: JOB, workload, options: options({ layout }), places: places() })
  const [group] = plan.volumeGroups ?? []
  assert.ok(group !== undefined)
  return { plan, placed: { group: change(group), devices } }
}

async function refused(work: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(work, (error: unknown) => (isAppError(error) ? error.code : error instanceof Error ? error.name : '') === code)
}

/** Each with blank disks; they are released afterwards. `shows`: logical volumes are shown, which needs a device mapper. */
export const GROUP_OBLIGATIONS: readonly { name: string, shows: boolean, check: (o: OpenGroupStack) => Promise<void> }[] = [
  { name: 'a group is shown as often as it is asked for, handed over as often, and may be opened again', shows: true, check: async o => {
    const first = await o.stack.openGroup(placed(o).placed, signal())
    assert.deepEqual([...first.keys()].sort(), ['striped', 'wide'])
    assert.deepEqual(await o.stack.openGroup(placed(o).placed, signal()), first)
    const handOver = [placed(o).placed]
    await o.stack.release(JOB, o.devices, signal(), { handOver })
    await o.stack.release(JOB, o.devices, signal(), { handOver })
    assert.deepEqual([...(await o.stack.openGroup(placed(o).placed, signal())).keys()], [...first.keys()])
  } },
  { name: 'disks of another group, and other logical volumes than the planned ones, are refused and left alone', shows: true, check: async o => {
    const first = await o.stack.openGroup(placed(o).placed, signal())
    await refused(o.stack.openGroup(placed(o, 'another').placed, signal()), 'VOLUME_LAYOUT')
    await refused(o.stack.release(JOB, [], signal(), { handOver: [placed(o, 'another').placed] }), 'VOLUME_LAYOUT')
    await refused(o.stack.openGroup(placed(o, 'contract', g => ({ ...g, logicalVolumes: g.logicalVolumes.slice(1) })).placed, signal()), 'VOLUME_LAYOUT')
    assert.deepEqual(await o.stack.openGroup(placed(o).placed, signal()), first)
  } },
  { name: 'a disk that is not blank is refused', shows: false, check: async o => {
    o.scribble(o.devices[1])
    await refused(o.stack.openGroup(placed(o).placed, signal()), 'VOLUME_LAYOUT')
  } },
  { name: 'what was never made is not handed over', shows: false, check: async o => {
    await refused(o.stack.release(JOB, o.devices, signal(), { handOver: [placed(o).placed] }), 'VOLUME_LAYOUT')
  } },
  { name: 'what LVM would not take is refused', shows: false, check: async o => {
    await refused(o.stack.openGroup(placed(o, 'contract', g => ({ ...g, tags: ['a b'] })).placed, signal()), 'SOURCE_UNSUPPORTED')
  } },
  { name: 'an aborted signal stops before any change', shows: false, check: async o => {
    await refused(o.stack.openGroup(placed(o).placed, AbortSignal.abort()), 'AbortError')
    await refused(o.stack.release(JOB, o.devices, signal(), { handOver: [placed(o).placed] }), 'VOLUME_LAYOUT')
  } },
]

/** So that the next one has blank disks. */
export async function releaseGroup({ stack, devices }: OpenGroupStack): Promise<void> {
  await stack.release(JOB, devices, signal(), { check: false })
}
