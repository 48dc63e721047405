/** Partition tables: `sfdisk --json`. */
import { z } from 'zod'
import type { Disk, Partition } from '../domain/volume.ts'
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

/** The table on a disk, in the form of the domain's Disk. */
export type PartitionTable = Pick<Disk, 'table' | 'tableId' | 'sectorSizeBytes' | 'partitions'>

const Answer = z.object({
  partitiontable: z.object({
    label: z.enum(['gpt', 'dos']), id: z.string(), unit: z.literal('sectors'), sectorsize: z.number().int().positive().default(512),
    partitions: z.array(z.object({
      node: z.string(), start: z.number().int().nonnegative(), size: z.number().int().positive(), type: z.string(),
      uuid: z.string().optional(), name: z.string().optional(), attrs: z.string().optional(), bootable: z.boolean().default(false),
    })).default([]),
  }),
})

const READ_TIMEOUT_MS = 30_000

/**
 * Reads the table of `device`.
 * @throws {AppError} TOOL_FAILED when it has none, TOOL_OUTPUT when it is neither GPT nor MBR; what Runner throws
 */
export async function readPartitionTable(runner: Runner, device: string, signal: AbortSignal): Promise<PartitionTable> {
  const { stdout } = await runner.run('sfdisk', ['--json', device], { signal, timeoutMs: READ_TIMEOUT_MS })
  const { label, id, sectorsize, partitions } = parse(stdout, device).partitiontable
  return {
    table: label, tableId: id, sectorSizeBytes: sectorsize,
    partitions: partitions.map((p): Partition => {
      const number = partitionNumber(device, p.node)
      if (number === 0) throw new AppError('TOOL_OUTPUT', `sfdisk names ${p.node} as a partition of ${device}`)
      return {
        number, startBytes: p.start * sectorsize, sizeBytes: p.size * sectorsize,
        type: label === 'gpt' ? p.type.toUpperCase() : p.type.toLowerCase().padStart(2, '0'),
        uuid: label === 'gpt' ? p.uuid ?? '' : `${id.replace(/^0x/, '')}-${number.toString(16).padStart(2, '0')}`,
        name: p.name ?? '', bootable: p.bootable || (p.attrs ?? '').split(/[\s,]+/).includes('LegacyBIOSBootable'),
      }
    }),
  }
}

/** The number of partition `node` on `disk` (/dev/sda3 on /dev/sda, nvme0n1p3 on nvme0n1); 0 when it is none of it. */
export function partitionNumber(disk: string, node: string): number {
  if (!node.startsWith(disk)) return 0
  const digits = /^(p?)([1-9]\d*)$/.exec(node.slice(disk.length))
  return digits?.[2] === undefined || (digits[1] === 'p') !== /\d$/.test(disk) ? 0 : Number(digits[2])
}

function parse(stdout: string, device: string): z.infer<typeof Answer> {
  try {
    return Answer.parse(JSON.parse(stdout))
  } catch (error) {
    throw new AppError('TOOL_OUTPUT', `cannot read the partition table of ${device}: neither GPT nor MBR`, { cause: error })
  }
}
