/** What runs on the source, as the agent describes it. */
import { z } from 'zod'
import { Layers } from './layer.ts'
import { Disk, Volume } from './volume.ts'
import { Finding } from './finding.ts'

export const NetworkAddress = z.object({ family: z.enum(['inet', 'inet6']), address: z.string(), prefixLength: z.number().int().min(0).max(128) })
export type NetworkAddress = z.infer<typeof NetworkAddress>

export const NetworkAdapter = z.object({
  name: z.string(),
  /** permanent MAC address, lower case with colons: the identity of the adapter */
  macAddress: z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/),
  mtu: z.number().int().positive(),
  addresses: z.array(NetworkAddress),
})
export type NetworkAdapter = z.infer<typeof NetworkAdapter>

export const Route = z.object({ destination: z.string(), gateway: z.string().optional(), adapter: z.string().optional(), metric: z.number().int().optional() })
export type Route = z.infer<typeof Route>

export const Kernel = z.object({
  version: z.string(),
  imagePath: z.string(),
  initramfsPath: z.string().optional(),
  /** drivers for VMware hardware that this kernel has, as a module or built in */
  drivers: z.array(z.string()),
  running: z.boolean(),
})
export type Kernel = z.infer<typeof Kernel>

/** What a replica is made to boot with: programs by their names; `grub-i386-pc`: GRUB 2's modules for BIOS; `grub-stages`: what GRUB legacy has in /boot. */
export const BootTool = z.enum(['grub-install', 'grub2-install', 'grub', 'grub-i386-pc', 'grub-stages', 'update-initramfs', 'mkinitrd'])
export type BootTool = z.infer<typeof BootTool>

export const Workload = z.object({
  version: z.literal(1),
  hostName: z.string(),
  machineId: z.string(),
  os: z.object({ id: z.string(), idLike: z.array(z.string()), versionId: z.string(), prettyName: z.string(), architecture: z.string() }),
  firmware: z.enum(['bios', 'uefi']),
  cpu: z.object({ sockets: z.number().int().positive(), coresPerSocket: z.number().int().positive(), model: z.string() }),
  memoryBytes: z.number().int().positive(),
  disks: z.array(Disk),
  volumes: z.array(Volume),
  /** left out: there is nothing between disks and volumes */
  layers: Layers.optional(),
  adapters: z.array(NetworkAdapter),
  routes: z.array(Route),
  dns: z.object({ servers: z.array(z.string()), search: z.array(z.string()) }),
  boot: z.object({
    loader: z.enum(['grub2', 'grub-legacy', 'systemd-boot', 'unknown']),
    /** disks (by name) whose first sector carries the boot loader */
    bootDisks: z.array(z.string()),
    kernels: z.array(Kernel),
    commandLine: z.string(),
    initramfsTool: z.enum(['initramfs-tools', 'dracut', 'mkinitcpio', 'unknown']),
    /** those that are there; an older agent does not look */
    tools: z.array(BootTool).optional(),
  }),
  /** how changes are captured: capture/change-source.ts has what the tiers mean */
  capture: z.object({
    tier: z.enum(['A', 'B', 'C', 'none']),
    /** why it is no better tier; empty for the best */
    reason: z.string().max(1000),
    /** what it does not see when it happens, in words: it is found later by change time, in any case before the cutover */
    unseen: z.array(z.string().max(300)).max(20),
    /** whether the agent may freeze file systems; an older agent does not look */
    mayFreeze: z.boolean().optional(),
    /** the folder in which changes wait that memory has no room for: volumes (by mount point) on whose file system it lies, and why it cannot be used */
    queue: z.object({ folder: z.string(), volumes: z.array(z.string()), problem: z.object({ code: z.string(), message: z.string() }).optional() }).optional(),
  }),
  findings: z.array(Finding),
})
export type Workload = z.infer<typeof Workload>
