/**
 * What lies between the disks and the volumes of a source: volume groups, arrays, encryption, multipath. Every device has one name here, and others
 * refer to it by that: `sda`, `sda2`, `nvme0n1p3` (disks and partitions), `mpatha` (a multipath map, which is a disk), `md0` (an array), `vg0/root` (a
 * logical volume), the map's name of what is unlocked (`sda3_crypt`). Sizes in bytes.
 */
import { z } from 'zod'

const bytes = z.number().int().nonnegative()

export const PhysicalVolume = z.object({
  uuid: z.string(),
  /** the device that it is; '' when it is missing */
  on: z.string(),
  sizeBytes: bytes,
  /** where its first extent begins */
  dataStartBytes: bytes,
  extents: bytes,
  tags: z.array(z.string()),
})
export type PhysicalVolume = z.infer<typeof PhysicalVolume>

/** A part of a logical volume that is laid out in one way. */
export const Segment = z.object({
  /** LVM's name: linear, striped, raid1, mirror, thin, thin-pool, cache ... */
  type: z.string(),
  extents: bytes,
  stripes: bytes,
  stripeSizeBytes: bytes,
  /** the devices of the physical volumes, where they are told (linear and striped) */
  on: z.array(z.string()),
})
export type Segment = z.infer<typeof Segment>

export const LogicalVolume = z.object({
  name: z.string(),
  uuid: z.string(),
  sizeBytes: bytes,
  tags: z.array(z.string()),
  segments: z.array(Segment),
  /** of a thin one: the pool that it takes its extents from */
  pool: z.string().optional(),
  /** of a snapshot */
  origin: z.string().optional(),
  /** the kernel lets nobody write to it */
  readOnly: z.literal(true).optional(),
  /** it is not activated with its group */
  activationSkip: z.literal(true).optional(),
})
export type LogicalVolume = z.infer<typeof LogicalVolume>

export const VolumeGroup = z.object({
  name: z.string(),
  uuid: z.string(),
  /** lvm2; lvm1 is what kernels of 2.4 had */
  format: z.string(),
  extentSizeBytes: z.number().int().positive(),
  extents: bytes,
  freeExtents: bytes,
  tags: z.array(z.string()),
  /** a cluster or several hosts share it */
  shared: z.boolean(),
  /** physical volumes are missing */
  partial: z.boolean(),
  physicalVolumes: z.array(PhysicalVolume),
  logicalVolumes: z.array(LogicalVolume),
})
export type VolumeGroup = z.infer<typeof VolumeGroup>

/** Software RAID. */
export const DiskArray = z.object({
  name: z.string(),
  uuid: z.string(),
  /** raid0, raid1, raid5, raid6, raid10, linear */
  level: z.string(),
  /** version of its superblock: 0.90, 1.2, imsm ... */
  metadata: z.string(),
  sizeBytes: bytes,
  members: z.array(z.string()),
})
export type DiskArray = z.infer<typeof DiskArray>

/** An encrypted container that is unlocked. */
export const Encryption = z.object({
  name: z.string(),
  /** the container */
  on: z.string(),
  /** LUKS1, LUKS2, PLAIN ... as cryptsetup says */
  type: z.string(),
  uuid: z.string(),
  label: z.string(),
  /** aes-xts-plain64 */
  cipher: z.string(),
  keyBits: bytes,
  sizeBytes: bytes,
})
export type Encryption = z.infer<typeof Encryption>

export const Multipath = z.object({ name: z.string(), wwid: z.string(), paths: z.array(z.string()) })
export type Multipath = z.infer<typeof Multipath>

export const Layers = z.object({
  volumeGroups: z.array(VolumeGroup), arrays: z.array(DiskArray), encryptions: z.array(Encryption), multipaths: z.array(Multipath),
})
export type Layers = z.infer<typeof Layers>

export const NO_LAYERS: Layers = { volumeGroups: [], arrays: [], encryptions: [], multipaths: [] }
