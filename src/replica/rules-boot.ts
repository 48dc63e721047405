/** What must hold so that the replica can be made to boot. Part of the table of `rules.ts`. */
import type { BootTool, Workload } from '../domain/workload.ts'
import { bootFamilyOf, releaseOf } from './boot-family.ts'
import { ESP_MOUNTS } from './esp.ts'
import { when, type Rule } from './rule.ts'
import { CONTROLLERS, NICS, chooseController, chooseNic } from './virtual-hardware.ts'

/** Sources of this kind are migrated and boot in the lab, with BIOS and with UEFI (docs/boot-debian.md). */
const isProven = ({ os }: Pick<Workload, 'os'>): boolean => os.id.toLowerCase() === 'debian' && releaseOf({ os }) === 12

const ADVICE_KERNEL = 'Install a kernel with drivers for VMware hardware on the source, or remove the kernels that have none.'

export const BOOT_RULES: readonly Rule[] = [
  { code: 'ROOT_VOLUME', severity: 'error', title: 'the source has a root volume', advice: 'Send the diagnostics archive of the agent to support.', check: ({ workload }) =>
    when(!workload.volumes.some(v => v.mountPoint === '/'), '/', 'no volume of the source is mounted at /') },
  { code: 'ARCHITECTURE', severity: 'error', title: 'the source has a processor that VMware hosts have', advice: 'Only servers with x86-64 processors can be migrated.', check: ({ workload: { os } }) =>
    when(!['x86_64', 'amd64'].includes(os.architecture), 'processor', `the source runs on ${os.architecture}`) },
  { code: 'OS_UNSUPPORTED', severity: 'error', title: 'it is known how this distribution is made to boot', advice: 'Migrate files and folders instead.', check: ({ workload }) =>
    when(bootFamilyOf(workload) === undefined, 'distribution', `it is not known how ${workload.os.prettyName} is made to boot on other hardware`) },
  { code: 'OS_RELEASE_UNSUPPORTED', severity: 'error', title: 'it is known how this release is made to boot', advice: 'Red Hat 5 to 10 and SUSE 11 to 16, and what is built from them, are known. Update the source, or migrate files and folders instead.', check: ({ workload }) =>
    when(bootFamilyOf(workload) !== undefined && releaseOf(workload) === undefined, 'distribution', `it is not known how release "${workload.os.versionId}" of ${workload.os.prettyName} is made to boot on other hardware`) },
  { code: 'OS_NOT_PROVEN', severity: 'warning', title: 'the boot of this distribution is proven in the lab', advice: 'Rehearse the boot fix-ups (landfall job rehearse) and look at the report, and plan time for the first boot.', check: ({ workload }) =>
    when(bootFamilyOf(workload) !== undefined && !isProven(workload), 'distribution', `${workload.os.prettyName} was not booted in the lab yet: its boot fix-ups were tried on recorded files, or on those of another release`) },
  { code: 'ESP_MISSING', severity: 'error', title: 'a source with UEFI has its EFI system partition among the volumes', advice: 'Mount the EFI system partition (at /boot/efi) on the source, then validate again.', check: ({ workload, plan }) =>
    when(workload.firmware === 'uefi' && !plan.volumes.some(v => v.volume.fileSystem.type === 'vfat' && ESP_MOUNTS.some(m => m === v.volume.mountPoint)), 'firmware', `the source boots by UEFI, but no volume of the job is its EFI system partition (looked for at ${ESP_MOUNTS.join(', ')})`) },
  { code: 'BOOT_LOADER_UNKNOWN', severity: 'error', title: 'the boot loader is GRUB', advice: 'Install GRUB 2 on the source, or migrate files and folders instead.', check: ({ workload }) => {
    const { loader } = workload.boot
    const legacy = loader === 'grub-legacy' && ((bootFamilyOf(workload) === 'rhel' && (releaseOf(workload) ?? 99) <= 6) || (bootFamilyOf(workload) === 'suse' && releaseOf(workload) === 11))
    return when(loader !== 'grub2' && !legacy, 'boot loader', `the boot loader of the source is ${loader}; only GRUB 2, and GRUB legacy of Red Hat 5 and 6 and SUSE 11, is supported`)
  } },
  { code: 'BIOS_BOOT_PARTITION', severity: 'error', title: 'the boot loader has a place on the first disk', advice: 'Make a BIOS boot partition of 1 MiB on the disk (type 21686148-6449-6E6F-744E-656564454649).', check: ({ workload, plan }) => {
    const first = plan.disks[0]
    return when(workload.firmware === 'bios' && first?.table === 'gpt' && !first.partitions.some(p => p.type.toUpperCase() === BIOS_BOOT), first?.sourceDisk ?? '', 'the first disk has a GPT without a BIOS boot partition')
  } },
  { code: 'BOOT_DISK_TABLE', severity: 'error', title: 'the first disk has a partition table', advice: 'A system on an unpartitioned disk cannot be migrated by this version.', check: ({ plan }) =>
    when(plan.disks[0]?.table === 'none', plan.disks[0]?.sourceDisk ?? '', 'the system lies on a disk without a partition table: the boot loader has no place there') },
  { code: 'INITRAMFS_TOOL_UNKNOWN', severity: 'error', title: 'the initramfs can be rebuilt', advice: 'Install the tool of the distribution on the source: initramfs-tools, or dracut.', check: ({ workload }) => {
    const family = bootFamilyOf(workload)
    const wanted = family === 'debian' ? 'initramfs-tools' : family === undefined || (releaseOf(workload) ?? 99) <= (family === 'rhel' ? 5 : 11) ? undefined : 'dracut'
    // mkinitrd of the old releases is looked for on the replica itself
    return when(wanted !== undefined && workload.boot.initramfsTool !== wanted, 'initramfs', `the initramfs of the source is made by ${workload.boot.initramfsTool}; ${wanted ?? ''} is needed`)
  } },
  { code: 'BOOT_TOOLS_MISSING', severity: 'error', title: 'the programs that make the replica boot are installed', advice: 'Install what is missing on the source: on Debian grub-pc and initramfs-tools, on Red Hat grub2-pc, on SUSE grub2-i386-pc, on old releases grub and mkinitrd.', check: ({ workload }) => {
    const missing = toolsNeeded(workload).filter(tool => workload.boot.tools?.includes(tool) === false)
    return when(missing.length > 0, 'boot tools', `the source lacks ${missing.join(', ')}`)
  } },
  { code: 'KERNEL_MISSING', severity: 'error', title: 'the source has a kernel to boot', advice: 'Install a kernel on the source.', check: ({ workload: { boot } }) =>
    when(boot.kernels.length === 0, '/boot', 'no kernel was found in /boot of the source') },
  { code: 'KERNEL_DRIVERS_MISSING', severity: 'error', title: 'every kernel has a driver for a VMware disk controller and network adapter', advice: ADVICE_KERNEL, check: ({ workload: { boot: { kernels } } }) => kernels.length === 0 ? [] : [
    ...when(chooseController(kernels) === undefined, 'kernels', `no disk controller suits every kernel (${kernels.map(k => k.version).join(', ')}): one of ${CONTROLLERS.map(c => c[1]).join(', ')} is needed`),
    ...when(chooseNic(kernels) === undefined, 'kernels', `no network adapter suits every kernel (${kernels.map(k => k.version).join(', ')}): one of ${NICS.map(c => c[1]).join(', ')} is needed`),
  ] },
  { code: 'KERNEL_INITRAMFS_MISSING', severity: 'warning', title: 'every kernel has an initramfs', advice: 'It is made at the cutover; check that the kernel is one that can be booted.', check: ({ workload: { boot } }) =>
    boot.kernels.filter(k => k.initramfsPath === undefined).map(k => ({ subject: k.version, message: `kernel ${k.version} has no initramfs` })) },
]

/** What the fix-ups of boot-debian.ts, boot-rhel.ts and boot-suse.ts run, besides what other rules look at. */
function toolsNeeded(workload: Workload): readonly BootTool[] {
  const family = bootFamilyOf(workload)
  const { firmware, boot: { loader } } = workload
  const release = releaseOf(workload) ?? 99
  const initramfs: readonly BootTool[] = family === 'debian' ? ['update-initramfs'] : (family === 'rhel' && release <= 5) || (family === 'suse' && release <= 11) ? ['mkinitrd'] : []
  if (loader === 'grub-legacy') return firmware === 'bios' ? [...initramfs, 'grub', 'grub-stages'] : initramfs
  return loader === 'grub2' && firmware === 'bios' && family !== undefined ? [...initramfs, family === 'debian' ? 'grub-install' : 'grub2-install', 'grub-i386-pc'] : initramfs
}

const BIOS_BOOT = '21686148-6449-6E6F-744E-656564454649'
