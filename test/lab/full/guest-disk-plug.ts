/** For an appliance that is a guest: an attached disk is plugged into its second controller while it runs, with the serial by which the product must find it. */
import type { DiskPlug } from '../disk-plug.ts'
import type { LabDisk } from '../vcsim.ts'
import type { Guest } from './guest.ts'

/** The controller of a guest into which disks are plugged. */
export const PLUG_CONTROLLER = 'plug'

const UNITS = 63
const CONTROLLER_UNIT = 7
const GONE_MS = 30_000

export function createGuestDiskPlug(guest: Guest): DiskPlug {
  const units = new Map<string, number>()
  const freeUnit = (): number => {
    for (let unit = 0; unit <= UNITS; unit++) if (unit !== CONTROLLER_UNIT && ![...units.values()].includes(unit)) return unit
    throw new Error(`${guest.name} has no room for another disk`)
  }
  return {
    attach: async (disk, file) => {
      const unit = freeUnit()
      await guest.qmp.command('blockdev-add', { 'driver': 'raw', 'node-name': node(disk), 'cache': { 'direct': false, 'no-flush': true }, 'discard': 'unmap', 'file': { driver: 'file', filename: file, discard: 'unmap' } })
      await guest.qmp.command('device_add', {
        'driver': 'scsi-hd', 'id': device(disk), 'drive': node(disk), 'bus': `${PLUG_CONTROLLER}.0`, 'scsi-id': unit, 'serial': disk.uuid, 'vendor': 'VMware', 'product': 'Virtual disk', 'ver': '2.0',
        'wwn': BigInt(`0x${disk.uuid.slice(0, 16)}`),
      })
      units.set(disk.uuid, unit)
    },
    usesOf: async (disk) => {
      if (!guest.process.isRunning()) return []
      const output = await guest.shell.run(`for page in $(grep -lai ${disk.uuid} /sys/block/sd*/device/vpd_pg80); do
  disk=\${page#/sys/block/}
  lsblk -nrpo NAME,TYPE,MOUNTPOINTS /dev/\${disk%%/*} | awk '$2 == "lvm" || $2 == "crypt" { print $1 " is active" } $3 != "" { print $1 " is mounted at " $3 }'
done; true`)
      return output.split('\n').filter(line => line !== '')
    },
    detach: async (disk) => {
      if (guest.process.isRunning()) {
        await guest.qmp.command('device_del', { id: device(disk) })
        await guest.qmp.event('DEVICE_DELETED', device(disk), GONE_MS)
        await guest.qmp.command('blockdev-del', { 'node-name': node(disk) })
      }
      units.delete(disk.uuid)
    },
    [Symbol.asyncDispose]: async () => {
      // the guest lets its disks go when it ends
    },
  }
}

const node = (disk: LabDisk): string => `node-${disk.uuid.slice(0, 24)}`
const device = (disk: LabDisk): string => `disk-${disk.uuid}`
