/** The VMware server and the places on it that hold a replica. */
import { z } from 'zod'

export const Datastore = z.object({ name: z.string(), id: z.string(), capacityBytes: z.number(), freeBytes: z.number(), maxFileBytes: z.number().optional(), accessible: z.boolean() })
export type Datastore = z.infer<typeof Datastore>

export const TargetNetwork = z.object({ name: z.string(), id: z.string(), kind: z.enum(['standard', 'distributed']), switchUuid: z.string().optional() })
export type TargetNetwork = z.infer<typeof TargetNetwork>

/** What the VMware server offers for the host on which the appliance runs. */
export const Places = z.object({
  product: z.string(), apiVersion: z.string(),
  datacenter: z.string(), host: z.string(), hostConnected: z.boolean(), maintenance: z.boolean(),
  applianceVm: z.string(),
  datastores: z.array(Datastore), networks: z.array(TargetNetwork),
  vmNames: z.array(z.string()),
})
export type Places = z.infer<typeof Places>

export const DiskFormat = z.enum(['flat', 'thick', 'thin'])
export type DiskFormat = z.infer<typeof DiskFormat>

/** A virtual disk file. `path` is vSphere's "[datastore] folder/name.vmdk". `uuid` is 32 lower-case hex digits as read back after the attach, '' before. */
export const VirtualDisk = z.object({ path: z.string(), sizeBytes: z.number().int().positive(), uuid: z.string() })
export type VirtualDisk = z.infer<typeof VirtualDisk>
