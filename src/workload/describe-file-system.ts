/** What a file system on the source is, with all that its replica is made with. */
import { statfs } from 'node:fs/promises'
import { probeDevice, type Signature } from '../command/blkid.ts'
import { readExtSuperblock } from '../command/dumpe2fs.ts'
import type { Runner } from '../command/runner.ts'
import { readXfsGeometry } from '../command/xfs-info.ts'
import { FileSystemType, type FileSystem } from '../domain/volume.ts'
import { describeBtrfs } from './describe-btrfs.ts'
import { readFatGeometry } from './fat-boot-sector.ts'
import { orFinding, type Report } from './findings.ts'
import type { Mount } from './mount-table.ts'

export interface FileSystemRequest {
  runner: Runner
  device: string
  /** where it is mounted, the whole before a part; empty when it is not */
  mounts: readonly Mount[]
  report: Report
  signal: AbortSignal
}

export interface DescribedFileSystem { fileSystem: FileSystem, unsupportedReason?: string }

const UNREADABLE: Signature = { type: '', uuid: '', label: '', version: '', partitionTable: '', partitionUuid: '', partitionLabel: '', blockSizeBytes: 512 }
const PAGE_SIZE_BYTES = 4096 // of x86, the only architecture whose swap we re-create

/** Undefined when there is no file system on the device. */
export async function describeFileSystem(request: FileSystemRequest): Promise<DescribedFileSystem | undefined> {
  const { runner, device, mounts, report, signal } = request
  const hostPath = mounts[0]?.hostPath
  const signature = await orFinding(report, device, 'Check that blkid can read the device.', UNREADABLE, async () => probeDevice(runner, device, signal), signal)
  const typeName = signature.type === '' ? mounts[0]?.type ?? '' : signature.type
  if (typeName === '') return undefined
  const known = FileSystemType.safeParse(typeName)
  const usedBytes = hostPath === undefined ? 0 : await orFinding(report, hostPath, 'Check that the file system answers.', 0, async () => used(hostPath), signal)
  const fileSystem: FileSystem = {
    type: known.success ? known.data : 'unsupported', typeName, uuid: signature.uuid, label: signature.label,
    blockSizeBytes: 0, usedBytes, features: [], inodeSizeBytes: 0, properties: {},
  }
  const undescribed = { fileSystem, unsupportedReason: `what its ${typeName} file system has could not be read` }
  const look = async (detail: () => Promise<DescribedFileSystem>): Promise<DescribedFileSystem> =>
    orFinding(report, `file system on ${device}`, 'Check that e2fsprogs, xfsprogs and btrfs-progs are installed on the source.', undescribed, detail, signal)
  switch (fileSystem.type) {
    case 'ext2': case 'ext3': case 'ext4': return look(async () => describeExt(request, fileSystem))
    case 'xfs': return hostPath === undefined ? { fileSystem } : look(async () => describeXfs(runner, hostPath, fileSystem, signal))
    case 'swap': return describeSwap(fileSystem, signature)
    case 'btrfs': return look(async () => describeBtrfs({ runner, device, mounts, report, signal }, fileSystem))
    case 'vfat': return { fileSystem: { ...fileSystem, blockSizeBytes: signature.blockSizeBytes, properties: { fatBits: /\d+$/.exec(signature.version)?.[0] ?? '', sectsz: String(signature.blockSizeBytes), ...await readFatGeometry(device) } } }
    case 'unsupported': return { fileSystem, unsupportedReason: `${typeName} file systems cannot be migrated` }
  }
}

async function describeExt({ runner, device, signal }: FileSystemRequest, fileSystem: FileSystem): Promise<DescribedFileSystem> {
  const { uuid, label, blockSizeBytes, inodeSizeBytes, features, properties } = await readExtSuperblock(runner, device, signal)
  const described = { fileSystem: { ...fileSystem, uuid, label, blockSizeBytes, inodeSizeBytes, features, properties } }
  if (features.includes('has_journal') && !('journalSizeBytes' in properties)) return { ...described, unsupportedReason: 'its journal lies on another device' }
  if (features.includes('encrypt')) return { ...described, unsupportedReason: 'it has encrypted directories (fscrypt), whose keys cannot be copied' }
  return described
}

async function describeXfs(runner: Runner, hostPath: string, fileSystem: FileSystem, signal: AbortSignal): Promise<DescribedFileSystem> {
  const described = { fileSystem: { ...fileSystem, ...await readXfsGeometry(runner, hostPath, signal) } }
  const { log, rtextents } = described.fileSystem.properties
  if (fileSystem.uuid === '') return { ...described, unsupportedReason: 'its UUID could not be read' }
  if (log === 'external') return { ...described, unsupportedReason: 'its log lies on another device' }
  if (rtextents !== undefined && rtextents !== '0') return { ...described, unsupportedReason: 'it has a real-time section on another device' }
  return described
}

function describeSwap(fileSystem: FileSystem, signature: Signature): DescribedFileSystem {
  return { fileSystem: { ...fileSystem, blockSizeBytes: PAGE_SIZE_BYTES, properties: { pageSizeBytes: String(PAGE_SIZE_BYTES), version: signature.version === '' ? '1' : signature.version } } }
}

async function used(path: string): Promise<number> {
  const { blocks, bfree, bsize } = await statfs(path)
  return Math.max(0, (blocks - bfree) * bsize)
}
