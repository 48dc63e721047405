/** Partition tables: `sfdisk --json` reads one, a script on its standard input makes one. */
import { z } from 'zod'
import type { Disk, Partition } from '../domain/volume.ts'
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

/** The table on a disk, in the form of the domain's Disk. */
export type PartitionTable = Pick<Disk, 'table' | 'tableId' | 'sectorSizeBytes' | 'partitions'>

/** so that every offset in bytes is an exact number */
const MAX_SECTORS = 2 ** 40

const Answer = z.object({
  partitiontable: z.object({
    label: z.enum(['gpt', 'dos']), id: z.string(), unit: z.literal('sectors'), sectorsize: z.number().int().positive().max(4096).default(512),
    partitions: z.array(z.object({
      node: z.string(), start: z.number().int().nonnegative().max(MAX_SECTORS), size: z.number().int().positive().max(MAX_SECTORS), type: z.string(),
      uuid: z.string().optional(), name: z.string().optional(), attrs: z.string().optional(), bootable: z.boolean().default(false),
    })).default([]),
  }),
})

/** Bits 0, 1 and 2 by name; 48 and above belong to the partition's type and have numbers. */
const NAMED_BITS: readonly string[] = ['RequiredPartition', 'NoBlockIOProtocol', 'LegacyBIOSBootable']
const FIRST_GUID_BIT = 48

const READ_TIMEOUT_MS = 30_000
const WRITE_TIMEOUT_MS = 60_000

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
        ...(p.attrs === undefined || p.attrs === '' ? {} : { attributes: p.attrs }),
      }
    }),
  }
}

/**
 * Writes `table` to `device`, whatever was there: disk GUID or signature, numbers, places, types, PARTUUIDs, names and attributes. Signatures
 * at the table's own place are wiped, those inside partitions stay. The kernel is not told (loop devices cannot re-read): see partx.ts.
 * @param table places in bytes, multiples of `sectorSizeBytes`
 * @throws {AppError} TOOL_FAILED when it does not fit the disk; what Runner throws
 */
export async function writePartitionTable(runner: Runner, device: string, table: PartitionTable, sectorSizeBytes: number, signal: AbortSignal): Promise<void> {
  await runner.run('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', '--wipe', 'always', '--wipe-partitions', 'never', '--', device], {
    signal, timeoutMs: WRITE_TIMEOUT_MS, input: tableScript(device, table, sectorSizeBytes),
  })
}

/** The script that sfdisk reads; the node's name gives the number, so that gaps and logical partitions come out as they were. */
function tableScript(device: string, { table, tableId, partitions }: PartitionTable, sectorSizeBytes: number): string {
  const separator = /\d$/.test(device) ? 'p' : ''
  const lines = partitions.map(p => {
    const fields = [`start=${sectors(p.startBytes, sectorSizeBytes)}`, `size=${sectors(p.sizeBytes, sectorSizeBytes)}`, `type=${p.type}`]
    if (table === 'dos' && p.bootable) fields.push('bootable')
    if (table === 'gpt') {
      if (p.uuid !== '') fields.push(`uuid=${p.uuid}`)
      if (p.name !== '') fields.push(`name="${quoted(p.name)}"`)
      const attributes = attributesText(attributeBits(p))
      if (attributes !== '') fields.push(`attrs="${attributes}"`)
    }
    return `${device}${separator}${String(p.number)} : ${fields.join(', ')}\n`
  })
  return [`label: ${table}\n`, `label-id: ${tableId}\n`, 'unit: sectors\n', '\n', ...lines].join('')
}

/**
 * The bits of a GPT partition's attributes, ascending. Pure.
 * @throws {AppError} VOLUME_LAYOUT for a word that sfdisk does not write
 */
export function attributeBits({ attributes, bootable }: Pick<Partition, 'attributes' | 'bootable'>): number[] {
  const words = (attributes ?? '').split(/[\s,]+/).filter(word => word !== '')
  const bits = words.map(word => {
    const named = NAMED_BITS.indexOf(word)
    const bit = named >= 0 ? named : Number(/^(?:GUID:)?(\d{1,2})$/.exec(word)?.[1] ?? Number.NaN)
    if (named < 0 && !(bit >= FIRST_GUID_BIT && bit < 64)) throw new AppError('VOLUME_LAYOUT', `"${word}" is no attribute of a GPT partition that is known`)
    return bit
  })
  return [...new Set(bootable ? [...bits, NAMED_BITS.indexOf('LegacyBIOSBootable')] : bits)].sort((a, b) => a - b)
}

/** As sfdisk writes them. Not escaped, unlike names: sfdisk would not undo it. */
function attributesText(bits: readonly number[]): string {
  const own = bits.filter(bit => bit >= FIRST_GUID_BIT)
  return [...NAMED_BITS.filter((_, bit) => bits.includes(bit)), ...(own.length === 0 ? [] : [`GUID:${own.join(',')}`])].join(' ')
}

function sectors(bytes: number, sectorSizeBytes: number): string {
  if (bytes % sectorSizeBytes !== 0) throw new AppError('VOLUME_LAYOUT', `${String(bytes)} bytes are no multiple of the sector size ${String(sectorSizeBytes)}`)
  return String(bytes / sectorSizeBytes)
}

/** A name as sfdisk reads it between double quotes: \xNN for every byte that could mean something else (the name comes from the source). */
function quoted(text: string): string {
  return Array.from(Buffer.from(text, 'utf8'), byte => {
    const character = String.fromCharCode(byte)
    return /[A-Za-z0-9 _.:-]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`
  }).join('')
}

/** The number of partition `node` on `disk` (/dev/sda3 on /dev/sda, nvme0n1p3 on nvme0n1, mpatha-part3 on mpatha); 0 when it is none of it. */
export function partitionNumber(disk: string, node: string): number {
  if (!node.startsWith(disk)) return 0
  const digits = /^(p|-part)?([1-9]\d*)$/.exec(node.slice(disk.length))
  return digits?.[2] === undefined || (digits[1] !== '-part' && (digits[1] === 'p') !== /\d$/.test(disk)) ? 0 : Number(digits[2])
}

function parse(stdout: string, device: string): z.infer<typeof Answer> {
  try {
    return Answer.parse(JSON.parse(stdout))
  } catch (error) {
    throw new AppError('TOOL_OUTPUT', `cannot read the partition table of ${device}: neither GPT nor MBR`, { cause: error })
  }
}
