/** Partitions one disk as planned: looks, writes when it is blank, and makes the kernel show the partitions. */
import type { Clock } from '../clock/clock.ts'
import { addPartitions, forgetPartitions } from '../command/partx.ts'
import type { Runner } from '../command/runner.ts'
import { attributeBits, readPartitionTable, writePartitionTable, type PartitionTable } from '../command/sfdisk.ts'
import { listSignatures } from '../command/wipefs.ts'
import type { PlannedDisk } from '../domain/replica.ts'
import type { Partition } from '../domain/volume.ts'
import { AppError } from '../errors/app-error.ts'
import { deviceSizeBytes, hasNode, isBlank, kernelPartitions, sectorSizeBytes } from './block-devices.ts'
import { partitionDevice } from './volume-stack.ts'

const NODES_WAIT_MS = 20_000
const PAUSE_MS = 50
/** MBR types of extended partitions: the kernel shows them with a size of one or two sectors. */
const EXTENDED = new Set(['05', '0f', '85'])
/** What a partition table looks like to wipefs; PMBR is the protective MBR of a GPT. */
const TABLE_SIGNATURES = new Set(['gpt', 'dos', 'PMBR'])

export interface PartitionParts { runner: Runner, clock: Clock }

/**
 * @throws {AppError} VOLUME_LAYOUT when the disk is neither blank nor partitioned as planned, or too small; nothing was written then
 */
export async function partitionDisk(parts: PartitionParts, device: string, disk: PlannedDisk, signal: AbortSignal): Promise<void> {
  const sizeBytes = await deviceSizeBytes(device)
  if (sizeBytes < disk.sizeBytes) {
    throw new AppError('VOLUME_LAYOUT', `${device} has ${String(sizeBytes)} bytes, planned are ${String(disk.sizeBytes)} for ${disk.path}`)
  }
  if (disk.table === 'none') return // a file system on the whole disk: format looks at it
  const signatures = await listSignatures(parts.runner, device, signal)
  if (signatures.length === 0 && await isBlank(device, sizeBytes)) {
    signal.throwIfAborted()
    await writePartitionTable(parts.runner, device, tableOf(disk), await sectorSizeBytes(device), signal)
  } else if (signatures.length === 0 || !signatures.every(s => TABLE_SIGNATURES.has(s))) {
    throw new AppError('VOLUME_LAYOUT', `${device} for ${disk.path} is not blank${signatures.length === 0 ? '' : ` (it carries ${signatures.join(', ')})`}; nothing was written`)
  }
  const found = await readPartitionTable(parts.runner, device, signal)
  const difference = firstDifference(tableOf(disk), found)
  if (difference !== undefined) throw new AppError('VOLUME_LAYOUT', `${device} for ${disk.path} is partitioned in another way: ${difference}; nothing was written`)
  await showPartitions(parts, device, disk.partitions, signal)
}

function tableOf(disk: PlannedDisk): PartitionTable {
  if (disk.table === 'none') throw new AppError('INTERNAL', `${disk.path} has no partition table to compare`)
  return { table: disk.table, tableId: disk.tableId, sectorSizeBytes: 0, partitions: disk.partitions }
}

/** What differs first, in words, or undefined when both say the same. Pure. */
function firstDifference(planned: PartitionTable, found: PartitionTable): string | undefined {
  if (planned.table !== found.table) return `table ${found.table}, planned ${planned.table}`
  if (planned.tableId.toLowerCase() !== found.tableId.toLowerCase()) return `identifier ${found.tableId}, planned ${planned.tableId}`
  const numbers = (t: PartitionTable): string => t.partitions.map(p => String(p.number)).sort().join(' ')
  if (numbers(planned) !== numbers(found)) return `partitions ${numbers(found)}, planned ${numbers(planned)}`
  for (const want of planned.partitions) {
    const have = found.partitions.find(p => p.number === want.number)
    const field = have === undefined ? 'number' : differingField(want, have, planned.table === 'gpt')
    if (field !== undefined) return `partition ${String(want.number)} has another ${field}`
  }
  return undefined
}

function differingField(want: Partition, have: Partition, gpt: boolean): string | undefined {
  if (want.startBytes !== have.startBytes) return 'start'
  if (want.sizeBytes !== have.sizeBytes) return 'size'
  if (want.type.toLowerCase() !== have.type.toLowerCase()) return 'type'
  if (want.bootable !== have.bootable) return 'boot flag'
  if (gpt && want.uuid !== '' && want.uuid.toLowerCase() !== have.uuid.toLowerCase()) return 'UUID' // an MBR's follows from its identifier
  if (gpt && want.name !== have.name) return 'name'
  if (gpt && attributeBits(want).join(',') !== attributeBits(have).join(',')) return 'set of attributes'
  return undefined
}

/** Makes the kernel show exactly these partitions and waits for their nodes; nothing when it does so already. */
async function showPartitions({ runner, clock }: PartitionParts, device: string, partitions: readonly Partition[], signal: AbortSignal): Promise<void> {
  const state = await kernelState(device, partitions)
  if (state === 'right') return
  if (state === 'stale') await forgetPartitions(runner, device, signal)
  await addPartitions(runner, device, signal)
  const deadline = clock.now() + NODES_WAIT_MS
  while (await kernelState(device, partitions) !== 'right') {
    if (clock.now() >= deadline) throw new AppError('DISK_NOT_FOUND', `the kernel does not show the partitions of ${device} as they are in its table`)
    await clock.sleep(PAUSE_MS, signal)
  }
}

async function kernelState(device: string, partitions: readonly Partition[]): Promise<'right' | 'missing' | 'stale'> {
  const shown = await kernelPartitions(device)
  if (shown.some(s => !partitions.some(p => p.number === s.number))) return 'stale'
  let missing = false
  for (const p of partitions) {
    const s = shown.find(k => k.number === p.number)
    if (s === undefined || !await hasNode(partitionDevice(device, p.number))) missing = true
    else if (s.startBytes !== p.startBytes || (s.sizeBytes !== p.sizeBytes && !EXTENDED.has(p.type))) return 'stale'
  }
  return missing ? 'missing' : 'right'
}
