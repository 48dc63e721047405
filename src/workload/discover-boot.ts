/** How the source starts: firmware, boot loader, kernels. */
import { constants } from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GRUB_FOR_BIOS } from '../domain/grub-places.ts'
import type { Disk } from '../domain/volume.ts'
import { BootTool, type Workload } from '../domain/workload.ts'
import { commandLineOf } from './command-line.ts'
import { discoverKernels } from './discover-kernels.ts'
import { isSystemError, orFinding, type Report } from './findings.ts'
import type { KernelPlaces } from './kernel-places.ts'
import type { SourceRoot } from './source-root.ts'

export interface BootRequest {
  root: SourceRoot
  live: boolean
  kernel: KernelPlaces
  disks: readonly Disk[]
  /** those that are multipath maps, whose nodes lie in mapper/ */
  maps: ReadonlySet<string>
  report: Report
  signal: AbortSignal
}

type Boot = Workload['boot']

const ESP_TYPES = new Set(['C12A7328-F81F-11D2-BA4B-00A0C93EC93B', 'ef'])
const FIRST_SECTOR_BYTES = 512

export async function discoverBoot(request: BootRequest): Promise<Pick<Workload, 'firmware' | 'boot'>> {
  const { root, live, kernel, disks, maps, report, signal } = request
  const bootDisks: string[] = []
  for (const disk of disks) {
    const carries = await orFinding(report, `first sector of ${disk.name}`, 'Run the agent as root.', false, async () => hasGrub(join(kernel.dev, maps.has(disk.name) ? `mapper/${disk.name}` : disk.name.replaceAll('!', '/'))), signal)
    if (carries) bootDisks.push(disk.name)
  }
  const release = live ? await hostText(join(kernel.proc, 'sys/kernel/osrelease')) : ''
  const kernels = await discoverKernels(root, release.trim())
  if (kernels.length === 0) {
    report({ code: 'KERNEL_MISSING', severity: 'error', subject: '/boot', message: 'no kernel (vmlinuz-*) was found in /boot', advice: 'Check that /boot is mounted and that a kernel is installed: a container cannot be migrated as a server.' })
  }
  return {
    firmware: await findFirmware(request, bootDisks),
    boot: {
      loader: await findLoader(root), bootDisks, kernels, initramfsTool: await findInitramfsTool(root), tools: await findTools(root),
      commandLine: live ? (await hostText(join(kernel.proc, 'cmdline'))).trim() : await commandLineOf(root),
    },
  }
}

/** The boot loader's first stage names itself in its error message. */
async function hasGrub(device: string): Promise<boolean> {
  await using disk = await open(device, constants.O_RDONLY | constants.O_NONBLOCK)
  const { buffer, bytesRead } = await disk.read(Buffer.alloc(FIRST_SECTOR_BYTES), 0, FIRST_SECTOR_BYTES, 0)
  return bytesRead === FIRST_SECTOR_BYTES && buffer.includes('GRUB')
}

/** A running kernel knows; a tree at rest is UEFI when it can start that way only. */
async function findFirmware({ root, live, kernel, disks }: BootRequest, bootDisks: readonly string[]): Promise<Workload['firmware']> {
  if (live) return await exists(join(kernel.sys, 'firmware/efi')) ? 'uefi' : 'bios'
  const esp = disks.some(d => d.partitions.some(p => ESP_TYPES.has(p.type)))
  const bios = bootDisks.length > 0 || await root.isDirectory('/boot/grub/i386-pc') || await root.isDirectory('/boot/grub2/i386-pc')
  return esp && !bios ? 'uefi' : 'bios'
}

async function findLoader(root: SourceRoot): Promise<Boot['loader']> {
  if (await root.isFile('/boot/grub/grub.cfg') || await root.isFile('/boot/grub2/grub.cfg')) return 'grub2'
  for (const place of ['/boot/efi', '/efi', '/boot']) {
    if (await root.isFile(`${place}/loader/loader.conf`)) return 'systemd-boot'
    for (const vendor of await root.names(`${place}/EFI`)) if (await root.isFile(`${place}/EFI/${vendor}/grub.cfg`)) return 'grub2'
  }
  if (await root.isFile('/boot/grub/menu.lst') || await root.isFile('/boot/grub/grub.conf')) return 'grub-legacy'
  return 'unknown'
}

/** dracut on Debian brings an update-initramfs of its own, but no mkinitramfs. */
async function findInitramfsTool(root: SourceRoot): Promise<Boot['initramfsTool']> {
  if (await hasProgram(root, 'mkinitramfs')) return 'initramfs-tools'
  if (await hasProgram(root, 'dracut')) return 'dracut'
  return await hasProgram(root, 'mkinitcpio') ? 'mkinitcpio' : 'unknown'
}

async function findTools(root: SourceRoot): Promise<BootTool[]> {
  const found: BootTool[] = []
  for (const tool of BootTool.options) {
    const there = tool === 'grub-i386-pc' ? (await Promise.all(GRUB_FOR_BIOS.map(async place => await root.isDirectory(place)))).includes(true)
      : tool === 'grub-stages' ? await root.isFile('/boot/grub/stage1') && await root.isFile('/boot/grub/stage2')
        : await hasProgram(root, tool)
    if (there) found.push(tool)
  }
  return found
}

async function hasProgram(root: SourceRoot, name: string): Promise<boolean> {
  for (const place of ['/usr/sbin', '/sbin', '/usr/bin', '/bin']) if (await root.isFile(`${place}/${name}`)) return true
  return false
}

async function hostText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (!isSystemError(error)) throw error
    return ''
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (!isSystemError(error)) throw error
    return false
  }
}
