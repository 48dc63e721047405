/** The kernels that the source can start, and which drivers for VMware's hardware they have. */
import type { Kernel } from '../domain/workload.ts'
import type { SourceRoot } from './source-root.ts'

/** Disk controllers and network adapters that a virtual machine can be given, and the SCSI disk driver above the controllers. */
const VMWARE_DRIVERS = ['vmw_pvscsi', 'mptspi', 'mptsas', 'ahci', 'nvme', 'sd_mod', 'vmxnet3', 'e1000', 'e1000e'] as const

/** Kernels of rescue systems and crash dumps are never the default. */
const NOT_BOOTED = /rescue|kdump/
const MAX_KERNELS = 64
/** modules.dep of a full distribution kernel has about 1 MB */
const MAX_MODULES_BYTES = 16 << 20

/** `runningVersion` is that of the source's running kernel, '' when it does not run here. */
export async function discoverKernels(root: SourceRoot, runningVersion: string): Promise<Kernel[]> {
  const names = await root.names('/boot')
  const kernels: Kernel[] = []
  for (const name of names) {
    const version = /^(?:vmlinuz|vmlinux|kernel)-(.+)$/.exec(name)?.[1]
    if (version === undefined || NOT_BOOTED.test(version) || version.endsWith('.gz') || kernels.length >= MAX_KERNELS) continue
    const initramfs = [`initrd.img-${version}`, `initramfs-${version}.img`, `initrd-${version}.img`, `initrd-${version}`].find(n => names.includes(n))
    kernels.push({
      version, imagePath: `/boot/${name}`, ...(initramfs === undefined ? {} : { initramfsPath: `/boot/${initramfs}` }),
      drivers: await driversOf(root, version), running: version === runningVersion,
    })
  }
  return kernels
}

async function driversOf(root: SourceRoot, version: string): Promise<string[]> {
  const found = new Set<string>()
  for (const [file, separator] of [['modules.dep', ':'], ['modules.builtin', '\n']] as const) {
    const text = await root.text(`/lib/modules/${version}/${file}`, MAX_MODULES_BYTES) ?? ''
    for (const line of text.split('\n')) {
      const path = line.split(separator, 1)[0] ?? ''
      found.add((path.split('/').at(-1) ?? '').replace(/[.]ko(?:[.](?:gz|xz|zst))?$/, '').replaceAll('-', '_'))
    }
  }
  return VMWARE_DRIVERS.filter(d => found.has(d))
}
