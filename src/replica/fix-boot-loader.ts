/** C16, C17: GRUB 2 on the first disk, and a menu whose entries boot. Debian calls its programs and folders "grub", Red Hat and SUSE "grub2". */
import { GRUB_FOR_BIOS } from '../domain/grub-places.ts'
import type { ReplicaPlan } from '../domain/replica.ts'
import { mountHolding } from '../posix/mount-table.ts'
import { parseBlsEntry, parseEnvironment } from './bls.ts'
import { DeviceReferences } from './device-references.ts'
import { espFolder } from './esp.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'
import { hasProgram } from './initramfs-content.ts'
import { rewriteMenus } from './fix-kernel-command-line.ts'
import { menuEntries, type MenuEntry } from './grub-menu.ts'
import { isOldStorage } from './kernel-command-line.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'

/** How a distribution names the parts of GRUB 2. */
export interface Grub2 { name: 'grub' | 'grub2', folder: ReplicaPath, package: string }

export const DEBIAN_GRUB: Grub2 = { name: 'grub', folder: '/boot/grub', package: 'grub-pc-bin' }
export const RED_HAT_GRUB: Grub2 = { name: 'grub2', folder: '/boot/grub2', package: 'grub2-pc' }
export const SUSE_GRUB: Grub2 = { name: 'grub2', folder: '/boot/grub2', package: 'grub2-i386-pc' }

const ENTRIES = '/boot/loader/entries'
const INSTALL_TIMEOUT_MS = 300_000
const MENU_TIMEOUT_MS = 300_000
const DEBCONF_TIMEOUT_MS = 60_000
/** What the first disk is called on the replica when nothing better is known. */
const FIRST_DISK = '/dev/sda'
/**
 * What lies on a logical volume is looked for by the UUID of its file system: no program in the root may ask the device mapper, so GRUB takes it for a disk, and
 * must be told what it needs to see it. Good so: the identifiers of the group are not those of the replica yet.
 */
const LVM_MODULES = '--modules=part_gpt part_msdos lvm'
const SUSE_INSTALL_DEVICE = '/etc/default/grub_installdevice'

export function installGrub2({ name, folder, package: wanted }: Grub2): FixUp {
  const platform = `${folder}/i386-pc`
  return {
    id: 'C17', title: 'install GRUB on the first disk', required: true,
    fix: async ({ files, plan, bootDevice, run, rehearsal }: AssembledReplica, signal) => {
      const kinds = await Promise.all(GRUB_FOR_BIOS.map(async place => await files.kind(place)))
      if (!kinds.includes('directory')) throw fixUpFailed(`the replica has no GRUB for BIOS (package ${wanted})`)
      // a rehearsal makes all but what lies on the disk itself
      const install = async (): Promise<unknown> => await run(`${name}-install`, ['--target=i386-pc', '--no-floppy', ...rehearsal === true ? ['--no-bootsector'] : [], ...isLogical(plan, folder) ? [LVM_MODULES] : [], bootDevice], { timeoutMs: INSTALL_TIMEOUT_MS }, signal)
      const had = await withDeviceMap(files, folder, bootDevice, install)
      if (await files.kind(`${platform}/core.img`) !== 'file') throw fixUpFailed(`${name}-install left no core image in ${platform}`)
      return [`GRUB installed on the first disk${had ? `; ${mapIn(folder)} names ${FIRST_DISK}` : ''}`]
    },
    reusable: {
      // the images are those of the rehearsal; this is the last of what the installation does
      finish: async ({ files, bootDevice, run }, signal) => {
        if (!await hasProgram({ files }, `${name}-bios-setup`)) return false
        await withDeviceMap(files, folder, bootDevice, async () => await run(`${name}-bios-setup`, [`--directory=${platform}`, bootDevice], { timeoutMs: INSTALL_TIMEOUT_MS }, signal))
        return true
      },
    },
  }
}

const mapIn = (folder: ReplicaPath): ReplicaPath => `${folder}/device.map`

/** While `work` runs the map names the disk as it is called here: the source's names disks that are not, and GRUB would stop at them. @returns whether there was one */
async function withDeviceMap(files: ReplicaFiles, folder: ReplicaPath, bootDevice: string, work: () => Promise<unknown>): Promise<boolean> {
  const map = await files.text(mapIn(folder))
  await files.write(mapIn(folder), `(hd0)\t${bootDevice}\n`)
  try {
    await work()
  } finally {
    if (map === undefined) await files.remove(mapIn(folder))
    else await files.write(mapIn(folder), `(hd0)\t${FIRST_DISK}\n`)
  }
  return map !== undefined
}

/** Whether a path lies on a logical volume. */
function isLogical({ volumes }: Pick<ReplicaPlan, 'volumes'>, path: ReplicaPath): boolean {
  const holding = mountHolding(volumes.flatMap(v => v.volume.mountPoint === undefined ? [] : [{ mountPoint: v.volume.mountPoint, logical: v.logicalVolume !== undefined }]), path)
  return holding?.logical ?? false
}

export const NAME_BOOT_DISK: FixUp = {
  id: 'C17d', title: 'tell the GRUB package which disk it is on', required: false, reusable: { from: ['/var/cache/debconf'] },
  fix: async ({ files, bootDiskUuid, run }: AssembledReplica, signal) => {
    if (!(await files.text('/var/cache/debconf/config.dat') ?? '').includes('grub-pc/install_devices')) return []
    const disk = diskLink(bootDiskUuid)
    await run('debconf-set-selections', [], { timeoutMs: DEBCONF_TIMEOUT_MS, input: `grub-pc grub-pc/install_devices multiselect ${disk}\n` }, signal)
    return [`updates of GRUB install it on ${disk}`]
  },
}

export const NAME_BOOT_DISK_SUSE: FixUp = {
  id: 'C17d', title: 'tell YaST which disk the boot loader is on', required: false,
  fix: async ({ files, bootDiskUuid }: AssembledReplica) => {
    const text = await files.text(SUSE_INSTALL_DEVICE)
    if (text === undefined || !/^\s*\/dev\//m.test(text)) return []
    const disk = diskLink(bootDiskUuid)
    const [first = -1] = text.split('\n').flatMap((line, i) => line.trim().startsWith('/dev/') ? [i] : [])
    const fixed = text.split('\n').flatMap((line, i) => i === first ? [disk] : line.trim().startsWith('/dev/') ? [] : [line]).join('\n')
    if (fixed === text) return []
    await files.write(SUSE_INSTALL_DEVICE, fixed)
    return [`updates of GRUB install it on ${disk}`]
  },
}

export function checkMenu(grub: Grub2): FixUp {
  return {
    id: 'C16', title: 'check the boot menu', required: true,
    fix: async (replica: AssembledReplica, signal) => {
      const { files, plan, workload, run } = replica
      const references = new DeviceReferences(plan, workload)
      const menu = await menuOf(replica, grub)
      const wrong = await whyMenuFails(files, references, menu)
      if (wrong === undefined) return []
      const mkconfig = `${grub.name}-mkconfig`
      if (await files.kind(`/usr/sbin/${mkconfig}`) !== 'file') throw fixUpFailed(`the boot menu of the replica does not boot it (${wrong}), and ${mkconfig} is not installed`)
      // a menu on the ESP only points to the other one, and Red Hat 9 refuses to overwrite it
      const target = menu.startsWith(grub.folder) || !(await files.text(menu) ?? '').includes('menuentry') ? `${grub.folder}/grub.cfg` : menu
      // other systems are not looked for: the appliance's disks would be offered
      await run(mkconfig, ['-o', target], { timeoutMs: MENU_TIMEOUT_MS, env: { GRUB_DISABLE_OS_PROBER: 'true' } }, signal)
      const rewritten = await rewriteMenus(files, references)
      const still = await whyMenuFails(files, references, menu)
      if (still !== undefined) throw fixUpFailed(`the boot menu does not boot the replica after it was made anew: ${still}`)
      return [`boot menu made anew: ${wrong}`, ...rewritten]
    },
  }
}

/** The menu that the firmware's GRUB reads first. */
async function menuOf({ files, plan, workload }: AssembledReplica, { folder }: Grub2): Promise<ReplicaPath> {
  if (plan.firmware === 'bios') return `${folder}/grub.cfg`
  const esp = await espFolder(files, workload.os.id)
  return esp !== undefined && await files.kind(`${esp.vendor}/grub.cfg`) === 'file' ? `${esp.vendor}/grub.cfg` : `${folder}/grub.cfg`
}

/** The link that udev makes for an ESX disk (NAA identifier); other hosts' UUIDs have none that can be foretold. Pure. */
export function diskLink(diskUuid: string): string {
  return /^6000c29[0-9a-f]{25}$/.test(diskUuid) ? `/dev/disk/by-id/wwn-0x${diskUuid}` : FIRST_DISK
}

/** Why the menu boots nothing, or undefined: the entry that is the default has its kernel, its initramfs and its root. */
export async function whyMenuFails(files: ReplicaFiles, references: DeviceReferences, menu: ReplicaPath): Promise<string | undefined> {
  const text = await files.text(menu)
  if (text === undefined) return 'there is none'
  const [first] = menuEntries(text)
  if (first !== undefined) return whyEntryFails(first, files, references)
  if (/^\s*blscfg\b/m.test(text)) return whyEntriesFail(files, references)
  const [, next] = /^\s*(?:configfile|source)\s+["']?(?:\([^)]*\)|\$\w+|\$\{\w+\})?(\/[^"'\s]+)/m.exec(text) ?? []
  // a stub on the ESP goes on with the menu on the file system that it looks for
  const [searched] = /^\s*search\b.*?([0-9A-Fa-f]{8}-[0-9A-Fa-f-]+|[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4})/m.exec(text)?.slice(1) ?? []
  if (searched !== undefined && references.look(`UUID=${searched}`).kind !== 'resolves') return `it looks for the file system ${searched}, which the replica does not have`
  const paths = ['/boot/grub2/grub.cfg', '/boot/grub/grub.cfg'].filter(path => path !== menu)
  for (const path of paths) if (next !== undefined && await files.kind(path) === 'file') return whyMenuFails(files, references, path)
  return 'it has no entry that starts Linux'
}

/** Of the entries in files one is the default: the one that GRUB's environment names, else the newest; rescue entries do not count. */
async function whyEntriesFail(files: ReplicaFiles, references: DeviceReferences): Promise<string | undefined> {
  const environment = parseEnvironment(await files.text('/boot/grub2/grubenv') ?? '')
  const found: { name: string, entry: MenuEntry }[] = []
  for (const name of (await files.names(ENTRIES)).filter(n => n.endsWith('.conf') && !/rescue/.test(n))) {
    const entry = parseBlsEntry(await files.text(`${ENTRIES}/${name}`) ?? '', environment)
    if (entry === undefined) continue
    const parameter = (key: string): string | undefined => entry.options.split(/\s+/).findLast(w => w.startsWith(`${key}=`))?.slice(key.length + 1)
    found.push({ name: name.replace(/[.]conf$/, ''), entry: { title: entry.title, kernel: entry.kernel, initrds: entry.initrds, options: entry.options, root: parameter('root'), resume: parameter('resume'), searched: [] } })
  }
  const saved = found.find(f => f.name === environment.get('saved_entry'))
  const newest = found.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })).at(-1)
  const chosen = saved ?? newest
  return chosen === undefined ? `there is no entry that starts Linux in ${ENTRIES}` : whyEntryFails(chosen.entry, files, references)
}

/** Why GRUB could not start what the entry says, or what it starts would find no root. */
export async function whyEntryFails(entry: MenuEntry, files: ReplicaFiles, references: DeviceReferences): Promise<string | undefined> {
  const what = `entry "${entry.title}"`
  for (const path of [entry.kernel, ...entry.initrds]) {
    // a separate /boot is the root of what GRUB sees, and of a btrfs its top is
    const places = ['/', '/boot'].flatMap(at => [path, ...belowSubvolume(path, references.subvolumeAt(at))].map(below => (at === '/' ? below : `${at}${below}`)))
    let found = false
    for (const place of places) found ||= await files.kind(place) === 'file'
    if (!found) return `${what} names ${path}, which does not exist`
  }
  if (entry.initrds.length === 0) return `${what} has no initramfs`
  if (entry.root === undefined) return `${what} names no root`
  for (const name of [entry.root, entry.resume]) {
    if (name !== undefined && references.look(name).kind !== 'resolves') return `${what} names ${name}, which the replica does not have`
  }
  const old = entry.options.split(/\s+/).find(word => isOldStorage(word, references))
  if (old !== undefined) return `${what} waits for ${old}, which the replica does not have`
  const unknown = entry.searched.find(uuid => references.look(`UUID=${uuid}`).kind !== 'resolves')
  return unknown === undefined ? undefined : `${what} looks for the file system ${unknown}, which the replica does not have`
}

/** A path from the top of a btrfs as one in its subvolume. */
function belowSubvolume(path: string, subvolume: string | undefined): readonly string[] {
  const start = `/${subvolume ?? ''}/`
  return subvolume !== undefined && subvolume !== '' && path.startsWith(start) ? [path.slice(start.length - 1)] : []
}
