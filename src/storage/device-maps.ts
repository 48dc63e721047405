/** What the kernel's device mapper shows, as sysfs tells it: logical volumes and what is unlocked, with the devices below each. */
import { readFile, readdir } from 'node:fs/promises'

export interface DeviceMap {
  /** /dev/dm-3: the kernel's own node, there with or without udev */
  device: string
  /** "major:minor" */
  number: string
  /** "LVM-" and the identifiers of group and volume without dashes, "CRYPT-..." and so on; '' when it has none */
  uuid: string
  /** below /dev/mapper */
  name: string
  /** the devices that it lies on directly */
  below: readonly string[]
}

/** All maps of this machine. @param sysBlock /sys/block, or a copy of it in tests */
export async function readDeviceMaps(sysBlock = '/sys/block'): Promise<readonly DeviceMap[]> {
  const maps: DeviceMap[] = []
  for (const entry of (await readdir(sysBlock)).filter(name => /^dm-\d+$/.test(name))) {
    const attribute = async (name: string): Promise<string> => (await readFile(`${sysBlock}/${entry}/${name}`, 'utf8')).trim()
    try {
      maps.push({ device: `/dev/${entry}`, number: await attribute('dev'), uuid: await attribute('dm/uuid'), name: await attribute('dm/name'), below: (await readdir(`${sysBlock}/${entry}/slaves`)).map(name => `/dev/${name}`) })
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV'))) throw error // gone meanwhile
    }
  }
  return maps
}

/** The maps that lie on `devices`, on partitions of them, or on such maps; what lies on top comes first. Pure. */
export function mapsAbove(maps: readonly DeviceMap[], devices: readonly string[]): readonly DeviceMap[] {
  const found: DeviceMap[] = []
  let level = maps.filter(map => map.below.some(below => devices.some(device => isOrIsPartOf(below, device))))
  while (level.length > 0) {
    found.unshift(...level)
    level = maps.filter(map => !found.includes(map) && map.below.some(below => level.some(m => m.device === below)))
  }
  return found
}

/** The uuid of the map of a logical volume; of its group without one, the beginning of that. */
export function logicalMapUuid(groupUuid: string, volumeUuid = ''): string {
  return `LVM-${groupUuid.replaceAll('-', '')}${volumeUuid.replaceAll('-', '')}`
}

function isOrIsPartOf(device: string, disk: string): boolean {
  return device === disk || (device.startsWith(disk) && (/\d$/.test(disk) ? /^p\d+$/ : /^\d+$/).test(device.slice(disk.length)))
}
