/** C16, C17 for GRUB legacy (Red Hat 5 and 6, SUSE 11): its shell writes the boot sector, its menu is a file that is edited. */
import { DeviceReferences } from './device-references.ts'
import { espFolder } from './esp.ts'
import { whyEntryFails } from './fix-boot-loader.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'
import { legacyEntries } from './grub-legacy.ts'

const MENUS = ['/boot/grub/grub.conf', '/boot/grub/menu.lst'] as const
const DEVICE_MAP = '/boot/grub/device.map'
const INSTALL_TIMEOUT_MS = 120_000

export const INSTALL_GRUB_LEGACY: FixUp = {
  id: 'C17', title: 'install GRUB legacy on the first disk', required: true,
  fix: async ({ files, plan, bootDevice, run, rehearsal }: AssembledReplica, signal) => {
    for (const stage of ['stage1', 'stage2']) if (await files.kind(`/boot/grub/${stage}`) !== 'file') throw fixUpFailed(`/boot/grub/${stage} is missing on the replica: GRUB legacy was not installed on the source`)
    const boot = plan.volumes.find(v => v.volume.mountPoint === '/boot') ?? plan.volumes.find(v => v.volume.mountPoint === '/')
    if (boot?.disk !== 0 || boot.partition < 1) throw fixUpFailed('/boot of the replica is no partition of its first disk, which GRUB legacy needs')
    if (await files.text(DEVICE_MAP) !== undefined) await files.write(DEVICE_MAP, '(hd0)\t/dev/sda\n')
    if (rehearsal === true) return ['the stages of GRUB are there; the boot sector is written at the cutover']
    const input = `device (hd0) ${bootDevice}\nroot (hd0,${String(boot.partition - 1)})\nsetup (hd0)\nquit\n`
    const { stdout } = await run('grub', ['--batch', '--no-floppy', '--device-map=/dev/null'], { timeoutMs: INSTALL_TIMEOUT_MS, input }, signal)
    const error = /^\s*Error \d+:.*$/m.exec(stdout)?.[0].trim()
    // parts of it may succeed before one that fails
    if (error !== undefined || !/^\s*Done\.\s*$/m.test(stdout)) throw fixUpFailed(`GRUB was not installed on the first disk: ${error ?? 'its shell said nothing of success'}`)
    return ['GRUB legacy installed on the first disk']
  },
}

export const CHECK_LEGACY_MENU: FixUp = {
  id: 'C16', title: 'check the boot menu', required: true,
  fix: async ({ files, plan, workload }: AssembledReplica) => {
    const references = new DeviceReferences(plan, workload)
    const esp = plan.firmware === 'uefi' ? await espFolder(files, workload.os.id) : undefined
    const menus = [...esp === undefined ? [] : [`${esp.vendor}/grub.conf` as const], ...MENUS]
    for (const path of menus) {
      const text = await files.text(path)
      if (text === undefined) continue
      const { entries, chosen } = legacyEntries(text)
      const entry = entries.find(e => e.number === chosen) ?? entries[0]
      if (entry === undefined) throw fixUpFailed(`${path} has no entry that starts Linux`)
      const wrong = await whyEntryFails({ ...entry, searched: [] }, files, references)
      if (wrong !== undefined) throw fixUpFailed(`the boot menu ${path} does not boot the replica: ${wrong}`)
      return []
    }
    throw fixUpFailed(`the replica has no menu of GRUB legacy (${menus.join(', ')})`)
  },
}
