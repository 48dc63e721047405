/** C16, C17: GRUB on the first disk, and a menu whose entries boot. For BIOS; UEFI needs its own (C18). */
import { DeviceReferences } from './device-references.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'
import { menuEntries, type MenuEntry } from './grub-menu.ts'
import type { ReplicaFiles } from './replica-files.ts'

const MENU = '/boot/grub/grub.cfg'
const DEVICE_MAP = '/boot/grub/device.map'
const INSTALL_TIMEOUT_MS = 300_000
const MENU_TIMEOUT_MS = 300_000
const DEBCONF_TIMEOUT_MS = 60_000
/** What the first disk is called on the replica when nothing better is known. */
const FIRST_DISK = '/dev/sda'

export const INSTALL_BOOT_LOADER: FixUp = {
  id: 'C17', title: 'install GRUB on the first disk', required: true,
  fix: async ({ files, bootDevice, run }: AssembledReplica, signal) => {
    if (await files.kind('/usr/lib/grub/i386-pc') !== 'directory') throw fixUpFailed('the replica has no GRUB for BIOS (package grub-pc-bin)')
    const map = await files.text(DEVICE_MAP)
    await files.write(DEVICE_MAP, `(hd0)\t${bootDevice}\n`) // the source's names disks that are not here, and GRUB would stop at them
    try {
      await run('grub-install', ['--target=i386-pc', '--no-floppy', bootDevice], { timeoutMs: INSTALL_TIMEOUT_MS }, signal)
    } finally {
      if (map === undefined) await files.remove(DEVICE_MAP)
      else await files.write(DEVICE_MAP, `(hd0)\t${FIRST_DISK}\n`)
    }
    if (await files.kind('/boot/grub/i386-pc/core.img') !== 'file') throw fixUpFailed('grub-install left no core image in /boot/grub/i386-pc')
    return [`GRUB installed on the first disk${map === undefined ? '' : `; ${DEVICE_MAP} names ${FIRST_DISK}`}`]
  },
}

export const NAME_BOOT_DISK: FixUp = {
  id: 'C17d', title: 'tell the GRUB package which disk it is on', required: false,
  fix: async ({ files, bootDiskUuid, run }: AssembledReplica, signal) => {
    if (!(await files.text('/var/cache/debconf/config.dat') ?? '').includes('grub-pc/install_devices')) return []
    const disk = diskLink(bootDiskUuid)
    await run('debconf-set-selections', [], { timeoutMs: DEBCONF_TIMEOUT_MS, input: `grub-pc grub-pc/install_devices multiselect ${disk}\n` }, signal)
    return [`updates of GRUB install it on ${disk}`]
  },
}

export const CHECK_MENU: FixUp = {
  id: 'C16', title: 'check the boot menu', required: true,
  fix: async (replica: AssembledReplica, signal) => {
    const { files, plan, workload, run } = replica
    const references = new DeviceReferences(plan, workload)
    const wrong = await whyMenuFails(files, references)
    if (wrong === undefined) return []
    if (await files.kind('/usr/sbin/grub-mkconfig') !== 'file') throw fixUpFailed(`the boot menu of the replica does not boot it (${wrong}), and grub-mkconfig is not installed`)
    // other systems are not looked for: the appliance's disks would be offered
    await run('grub-mkconfig', ['-o', MENU], { timeoutMs: MENU_TIMEOUT_MS, env: { GRUB_DISABLE_OS_PROBER: 'true' } }, signal)
    const still = await whyMenuFails(files, references)
    if (still !== undefined) throw fixUpFailed(`the boot menu does not boot the replica after it was made anew: ${still}`)
    return [`boot menu made anew: ${wrong}`]
  },
}

/** The link that udev makes for an ESX disk (NAA identifier); other hosts' UUIDs have none that can be foretold. Pure. */
export function diskLink(diskUuid: string): string {
  return /^6000c29[0-9a-f]{25}$/.test(diskUuid) ? `/dev/disk/by-id/wwn-0x${diskUuid}` : FIRST_DISK
}

/** Why the menu boots nothing, or undefined: the first entry, which is the default, has its kernel, its initramfs and its root. */
export async function whyMenuFails(files: ReplicaFiles, references: DeviceReferences): Promise<string | undefined> {
  const text = await files.text(MENU)
  if (text === undefined) return 'there is none'
  const [first] = menuEntries(text)
  return first === undefined ? 'it has no entry that starts Linux' : whyEntryFails(first, files, references)
}

async function whyEntryFails(entry: MenuEntry, files: ReplicaFiles, references: DeviceReferences): Promise<string | undefined> {
  const what = `entry "${entry.title}"`
  for (const path of [entry.kernel, ...entry.initrds]) {
    // a separate /boot is the root of what GRUB sees
    if (await files.kind(path) !== 'file' && await files.kind(`/boot/${path}`) !== 'file') return `${what} names ${path}, which does not exist`
  }
  if (entry.initrds.length === 0) return `${what} has no initramfs`
  if (entry.root === undefined) return `${what} names no root`
  for (const name of [entry.root, entry.resume]) {
    if (name !== undefined && references.look(name).kind !== 'resolves') return `${what} names ${name}, which the replica does not have`
  }
  const unknown = entry.searched.find(uuid => references.look(`UUID=${uuid}`).kind !== 'resolves')
  return unknown === undefined ? undefined : `${what} looks for the file system ${unknown}, which the replica does not have`
}
