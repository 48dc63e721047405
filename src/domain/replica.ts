/** What will be built: pure data, made by `replica/plan.ts`, shown before anything is made. */
import { z } from 'zod'
import { Encryption } from './layer.ts'
import { PlanDifference } from './plan-difference.ts'
import { Partition, Volume } from './volume.ts'
import { DiskFormat, VirtualDisk } from './target.ts'
import { NetworkAddress } from './workload.ts'

export const PlannedDisk = z.object({
  /** the source disk it stands for; with a disk per volume the name of the volume or volume group */
  sourceDisk: z.string(),
  /** "[datastore] folder/name.vmdk" */
  path: z.string(),
  sizeBytes: z.number().int().positive(),
  format: DiskFormat,
  table: z.enum(['gpt', 'dos', 'none']),
  tableId: z.string(),
  partitions: z.array(Partition),
})
export type PlannedDisk = z.infer<typeof PlannedDisk>

/** A LUKS container that is made anew, with the identity of the source's. */
export const PlannedEncryption = Encryption.pick({ name: true, type: true, uuid: true, label: true, cipher: true, keyBits: true }).extend({
  /** what lies before its data, as on the source, so that as much fits into it; 0: its header lies elsewhere on the source */
  headerBytes: z.number().int().nonnegative().default(0),
  /** how its key follows from the passphrase */
  keyDerivation: z.enum(['argon2id', 'pbkdf2']).default('argon2id'),
})
export type PlannedEncryption = z.infer<typeof PlannedEncryption>

export const PlannedPhysicalVolume = z.object({
  uuid: z.string(),
  /** index into the disks of the plan */
  disk: z.number().int().nonnegative(),
  partition: z.number().int().nonnegative(),
  /** of the partition or disk */
  sizeBytes: z.number().int().positive(),
  dataStartBytes: z.number().int().nonnegative(),
  extents: z.number().int().positive(),
  tags: z.array(z.string()),
  /** what it lies in */
  encryption: PlannedEncryption.optional(),
})
export type PlannedPhysicalVolume = z.infer<typeof PlannedPhysicalVolume>

export const PlannedSegment = z.object({
  extents: z.number().int().positive(),
  /** 0 when there is one area only */
  stripeSizeBytes: z.number().int().nonnegative(),
  /** the extents lie on these in turn; each has as many */
  areas: z.array(z.object({ physicalVolume: z.number().int().nonnegative(), startExtent: z.number().int().nonnegative() })).min(1),
})
export type PlannedSegment = z.infer<typeof PlannedSegment>

/** Temporary names and identifiers hold while it is in the appliance: a clone may be there at once, and the kernel takes each only once. */
export const PlannedLogicalVolume = z.object({
  name: z.string(), uuid: z.string(), temporaryUuid: z.string(), extents: z.number().int().positive(), tags: z.array(z.string()), segments: z.array(PlannedSegment),
  /** from the handing over on; in the appliance it is written to */
  readOnly: z.literal(true).optional(), activationSkip: z.literal(true).optional(),
})
export type PlannedLogicalVolume = z.infer<typeof PlannedLogicalVolume>

export const PlannedVolumeGroup = z.object({
  name: z.string(),
  temporaryName: z.string(),
  uuid: z.string(),
  temporaryUuid: z.string(),
  extentSizeBytes: z.number().int().positive(),
  tags: z.array(z.string()),
  physicalVolumes: z.array(PlannedPhysicalVolume),
  logicalVolumes: z.array(PlannedLogicalVolume),
})
export type PlannedVolumeGroup = z.infer<typeof PlannedVolumeGroup>

export const PlannedVolume = z.object({
  /** as it will be: its size and file system are the replica's; disk, partition and `on` say where it lies on the source */
  volume: Volume,
  /** index into the disks of the plan; of a logical volume where its first extent lies */
  disk: z.number().int().nonnegative(),
  partition: z.number().int().nonnegative(),
  /** what it lies on when it is no partition and no disk */
  logicalVolume: z.object({ group: z.string(), name: z.string() }).optional(),
  /** what lies between it and that */
  encryption: PlannedEncryption.optional(),
  /** index on the wire: operations of this volume carry it; -1 for swap, which is re-created */
  index: z.number().int(),
})
export type PlannedVolume = z.infer<typeof PlannedVolume>

export const PlannedAdapter = z.object({
  sourceName: z.string(), sourceMac: z.string(),
  /** MAC of the replica's adapter: chosen by us, locally administered range of VMware (00:50:56:00-3f) */
  mac: z.string(),
  network: z.string(),
  type: z.enum(['vmxnet3', 'e1000e', 'e1000']),
  addresses: z.array(NetworkAddress),
})
export type PlannedAdapter = z.infer<typeof PlannedAdapter>

export const ReplicaPlan = z.object({
  version: z.literal(1),
  vmName: z.string(),
  /** folder of the disks on the datastore; the VM's own files lie elsewhere, so that the disks outlive it */
  folder: z.string(),
  datastore: z.string(), guestId: z.string(), firmware: z.enum(['bios', 'uefi']),
  sockets: z.number().int().positive(), coresPerSocket: z.number().int().positive(), memoryMiB: z.number().int().positive(),
  controller: z.enum(['pvscsi', 'lsilogic']),
  disks: z.array(PlannedDisk), volumeGroups: z.array(PlannedVolumeGroup).optional(), volumes: z.array(PlannedVolume), adapters: z.array(PlannedAdapter),
  /** what will differ from the source */
  differences: z.array(PlanDifference),
})
export type ReplicaPlan = z.infer<typeof ReplicaPlan>

/** What exists of a replica while a job runs; kept in the job store after each step so that a restart finds it. */
export const BuiltReplica = z.object({
  disks: z.array(VirtualDisk),
  vmId: z.string().optional(),
})
export type BuiltReplica = z.infer<typeof BuiltReplica>

/** A file or directory of the replica that the boot fix-ups made, changed or removed; hashes are SHA-256 in hex, '' where there was or is no regular file. */
export const ChangedFile = z.object({
  path: z.string(), before: z.string(), after: z.string(),
  /** a directory that was removed with all that was in it, which is not listed */
  gone: z.literal(true).optional(),
  /** of a rehearsal: how a text file would change, lines with "-" and "+" */
  diff: z.string().optional(),
})
export type ChangedFile = z.infer<typeof ChangedFile>

/** What one boot fix-up did. `id` is the row of the list in cutover.md. */
export const FixUpResult = z.object({
  id: z.string(), title: z.string(),
  /** required: its failure stops the cutover; otherwise it is reported */
  required: z.boolean(),
  outcome: z.enum(['done', 'nothing-to-do', 'failed']),
  messages: z.array(z.string()),
  changed: z.array(ChangedFile),
  durationMs: z.number(),
})
export type FixUpResult = z.infer<typeof FixUpResult>

/** All fix-ups of one run, in order. */
export const FixUpReport = z.object({
  version: z.literal(1), jobId: z.string(), startedAtUtc: z.string(), succeeded: z.boolean(), results: z.array(FixUpResult),
  /** on a throw-away layer: the replica is as it was */
  rehearsal: z.boolean().optional(),
})
export type FixUpReport = z.infer<typeof FixUpReport>

/** At what a screenshot was taken. */
export const ScreenshotOf = z.enum(['cutover', 'test-cutover'])
export type ScreenshotOf = z.infer<typeof ScreenshotOf>

/** That what a VM's screen showed was kept; the image is beside the record. */
export const Screenshot = z.object({ takenAtUtc: z.string(), bytes: z.number().int() })
export type Screenshot = z.infer<typeof Screenshot>

/** What a replica said after its first boot. */
export const BootProof = z.object({
  hostName: z.string(),
  /** `systemctl is-system-running`, or '' */
  systemState: z.string(),
  failedUnits: z.array(z.string()),
  addresses: z.array(z.string()),
  /** output of the post-failover script, at most 4 KiB */
  scriptOutput: z.string(),
  scriptExitCode: z.number().int().optional(),
  /** what its console showed then, as text, at most 4 KiB; without a screen the end of the kernel's messages */
  console: z.string().optional(),
  bootedAtUtc: z.string(),
})
export type BootProof = z.infer<typeof BootProof>
