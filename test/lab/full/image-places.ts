/** Where file systems lie in disk images: in partitions, on whole disks, in logical volumes. Read with tools, without the product and without a device mapper. */
import { partitionsOf, wholeImage, withLoops, type Place } from '../places.ts'
import { tool } from '../tool.ts'

export interface FoundFileSystem extends Place { uuid: string, type: string }

/** All that is recognised in the images, by its UUID; physical volumes of LVM, too. */
export async function fileSystemsOf(files: readonly string[]): Promise<FoundFileSystem[]> {
  const places = (await Promise.all(files.map(placesOf))).flat()
  const found = (await Promise.all(places.map(probe))).flat()
  const physical = found.filter(f => f.type === 'LVM2_member')
  const logical = physical.length === 0 ? [] : await withLoops(physical, logicalPlaces)
  return [...found, ...(await Promise.all(logical.map(probe))).flat()]
}

/** Complaints of vgck about the volume groups in the images. @returns undefined when there are none */
export async function checkGroups(files: readonly string[]): Promise<{ groups: number, complaints: string } | undefined> {
  const physical = (await fileSystemsOf(files)).filter(f => f.type === 'LVM2_member')
  if (physical.length === 0) return undefined
  return await withLoops(physical, async (devices) => {
    const names = (await lvm('vgs', devices, ['-o', 'vg_name'])).split('\n').map(line => line.trim()).filter(line => line !== '')
    let complaints = ''
    for (const name of names) {
      const { exitCode, stderr } = await tool('vgck', [...lvmArguments(devices), name], { env: LVM_ENVIRONMENT, allowedExitCodes: [5] })
      if (exitCode !== 0) complaints += stderr
    }
    return { groups: names.length, complaints }
  })
}

async function placesOf(file: string): Promise<Place[]> {
  const partitions = await partitionsOf(file)
  // a FAT on a whole disk looks like an empty table
  return partitions.length === 0 ? [await wholeImage(file)] : partitions
}

async function probe(place: Place): Promise<FoundFileSystem[]> {
  const { stdout } = await tool('blkid', ['--probe', '--output', 'export', '--usages', 'filesystem,raid,other', '--offset', String(place.offsetBytes), '--size', String(place.sizeBytes), place.file], { allowedExitCodes: [2] })
  const value = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? ''
  return value('TYPE') === '' ? [] : [{ ...place, uuid: value('UUID'), type: value('TYPE') }]
}

/** Each volume in one piece; one in several has no place that a loop device could show. */
async function logicalPlaces(devices: readonly string[], physical: readonly Place[]): Promise<Place[]> {
  const numbers = async (command: 'pvs' | 'lvs', fields: string): Promise<string[][]> =>
    (await lvm(command, devices, ['--units', 'b', '--nosuffix', '--separator', ' ', '-o', fields])).split('\n').map(line => line.trim().split(/\s+/)).filter(line => line.length > 1)
  const groups = new Map((await numbers('pvs', 'pv_name,pe_start,vg_extent_size')).map(([name = '', start, extent]) => [name, { start: Number(start), extent: Number(extent) }]))
  return (await numbers('lvs', 'seg_pe_ranges,seg_size,lv_size')).flatMap(([range = '', size, whole]) => {
    const [, device = '', first = ''] = /^(.*):(\d+)-\d+$/.exec(range) ?? []
    const at = devices.indexOf(device)
    const group = groups.get(device)
    const on = physical[at]
    if (on === undefined || group === undefined || size !== whole) throw new Error(`a logical volume is not in one piece: ${range}`)
    return [{ file: on.file, offsetBytes: on.offsetBytes + group.start + Number(first) * group.extent, sizeBytes: Number(size) }]
  })
}

const LVM_ENVIRONMENT = { LVM_SUPPRESS_FD_WARNINGS: '1', DM_DISABLE_UDEV: '1' }

async function lvm(command: string, devices: readonly string[], args: readonly string[]): Promise<string> {
  return (await tool(command, ['--readonly', ...lvmArguments(devices), '--noheadings', ...args], { env: LVM_ENVIRONMENT })).stdout
}

/** Sees these devices only, changes nothing, and does without a device mapper. */
function lvmArguments(devices: readonly string[]): string[] {
  const filter = [...devices.map(device => `"a|^${device}$|"`), '"r|.*|"'].join()
  return ['--driverloaded', 'n', '--config', `devices{scan_lvs=0 use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source="none" filter=[${filter}] global_filter=[${filter}]} activation{udev_sync=0 udev_rules=0 monitoring=0} backup{backup=0 archive=0} global{event_activation=0}`]
}
