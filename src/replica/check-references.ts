/** C08: proves that what boot-critical files name is on the replica, each finding with its file and line. */
import { DeviceReferences } from './device-references.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'
import { findNetworkFiles, NETWORKD, UDEV_RULES } from './network-files.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'
import {
  scanArrays, scanAutoInterfaces, scanCommandLine, scanCommandLines, scanCrypttab, scanDeviceMap, scanFstab, scanGrubMenu, scanLegacyMenu, scanLvm, scanMacs, scanMultipath, scanResume, type Scanner, type Unresolved,
} from './reference-scanner.ts'

/** More say no more. */
const MAX_SHOWN = 20

type Found = Unresolved & { path: ReplicaPath }

export const CHECK_DEVICE_NAMES: FixUp = {
  id: 'C08', title: 'prove that every device which the boot needs is on the replica', required: true,
  fix: async replica => {
    const wrong = (await scanReferences(replica)).filter(f => f.critical)
    if (wrong.length > 0) throw fixUpFailed(`names that mean nothing on the replica: ${shown(wrong)}`)
    return []
  },
}

/** What does not stop the boot is told. */
export const CHECK_OTHER_NAMES: FixUp = {
  id: 'C08s', title: 'look for names of the old hardware that are left', required: false,
  fix: async replica => {
    const wrong = (await scanReferences(replica)).filter(f => !f.critical)
    if (wrong.length > 0) throw fixUpFailed(`names that mean nothing on the replica: ${shown(wrong)}`)
    return []
  },
}

/** Every name that does not resolve, in the order of the files. */
export async function scanReferences({ files, plan, workload }: Pick<AssembledReplica, 'files' | 'plan' | 'workload'>): Promise<readonly Found[]> {
  const references = new DeviceReferences(plan, workload)
  const adapters = { names: new Set(plan.adapters.map(a => a.sourceName)), macs: new Set(plan.adapters.map(a => a.mac)) }
  const found: Found[] = []
  for (const [path, scanner] of await scannedFiles(files)) {
    if (await files.kind(path, 'stay') === 'link') continue // what it leads to is looked at under its own name
    const text = await files.text(path)
    if (text !== undefined) found.push(...scanner(text, references, adapters).map(u => ({ ...u, path })))
  }
  return found
}

async function scannedFiles(files: ReplicaFiles): Promise<readonly (readonly [ReplicaPath, Scanner])[]> {
  const among = async (folder: ReplicaPath, names: RegExp): Promise<readonly ReplicaPath[]> => (await files.names(folder)).filter(n => names.test(n)).map(n => `${folder}/${n}`)
  const esp = (await files.names('/boot/efi/EFI')).map(n => `/boot/efi/EFI/${n}`)
  const { redHat, suse, keyfiles, netplan, networkd, interfaces } = await findNetworkFiles(files)
  const every = (paths: readonly ReplicaPath[], scanner: Scanner): readonly (readonly [ReplicaPath, Scanner])[] => paths.map(path => [path, scanner] as const)
  return [
    ['/etc/fstab', scanFstab], ['/etc/crypttab', scanCrypttab],
    ...every(['/etc/default/grub', ...await among('/etc/default/grub.d', /[.]cfg$/), '/etc/sysconfig/bootloader', '/boot/grub2/grubenv', ...esp.map(e => `${e}/grubenv`), ...await among('/boot/loader/entries', /[.]conf$/)], scanCommandLines),
    ['/etc/kernel/cmdline', scanCommandLine],
    ...every(['/boot/grub/grub.cfg', '/boot/grub2/grub.cfg', ...esp.map(e => `${e}/grub.cfg`)], scanGrubMenu),
    ...every(['/boot/grub/grub.conf', '/boot/grub/menu.lst', ...esp.map(e => `${e}/grub.conf`)], scanLegacyMenu),
    ...every(['/boot/grub/device.map', '/boot/grub2/device.map'], scanDeviceMap),
    ...every(['/etc/mdadm.conf', '/etc/mdadm/mdadm.conf'], scanArrays), ...every(['/etc/lvm/lvm.conf', '/etc/lvm/devices/system.devices'], scanLvm), ...every(['/etc/multipath/bindings', '/var/lib/multipath/bindings'], scanMultipath),
    ...every(['/etc/initramfs-tools/conf.d/resume', '/etc/initramfs-tools/conf.d/zz-landfall', '/etc/dracut.conf', ...await among('/etc/dracut.conf.d', /[.]conf$/)], scanResume),
    ...every([...redHat, ...suse, ...keyfiles, ...netplan, ...networkd, ...interfaces, ...await among(NETWORKD, /[.](?:link|netdev)$/), ...await among(UDEV_RULES, /net.*[.]rules$/)], scanMacs),
    ...every(interfaces, scanAutoInterfaces),
  ]
}

function shown(found: readonly Found[]): string {
  const list = found.slice(0, MAX_SHOWN).map(f => `${f.path}:${String(f.line)}: ${f.name}`).join(', ')
  return found.length > MAX_SHOWN ? `${list} and ${String(found.length - MAX_SHOWN)} more` : list
}
