/** Ranges of disk images, and loop devices that show just such a range: no partition nodes are made, which others on the machine could take away. */
import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { tool } from './tool.ts'

/** Bytes of an image. */
export interface Place { file: string, offsetBytes: number, sizeBytes: number }

export interface Partition extends Place { number: number }

const Table = z.object({ partitiontable: z.object({ partitions: z.array(z.object({ node: z.string(), start: z.number(), size: z.number() })).default([]) }) })
const SECTOR_BYTES = 512

export async function wholeImage(file: string): Promise<Place> {
  return { file, offsetBytes: 0, sizeBytes: (await stat(file)).size }
}

/** What the image's partition table names, in its order; nothing where it has none. */
export async function partitionsOf(file: string): Promise<Partition[]> {
  const { stdout, exitCode } = await tool('sfdisk', ['--json', file], { allowedExitCodes: [1] })
  if (exitCode !== 0) return []
  return Table.parse(JSON.parse(stdout)).partitiontable.partitions.map(({ node, start, size }) => (
    { file, number: Number(/\d+$/.exec(node)?.[0]), offsetBytes: start * SECTOR_BYTES, sizeBytes: size * SECTOR_BYTES }))
}

/** @param number of the partition, or 0 for the whole image. @throws {Error} when the image has no such partition */
export async function placeOf(file: string, number: number): Promise<Place> {
  if (number === 0) return await wholeImage(file)
  const partitions = await partitionsOf(file)
  const found = partitions.find(p => p.number === number)
  if (found === undefined) throw new Error(`${file} has no partition ${String(number)}, only ${partitions.map(p => p.number).join() || 'none at all'}`)
  return found
}

/** Gives `work` loop devices of the places, in their order. */
export async function withLoops<T, P extends Place>(places: readonly P[], work: (devices: readonly string[], places: readonly P[]) => Promise<T>, options: { readOnly?: boolean } = {}): Promise<T> {
  const devices: string[] = []
  try {
    for (const { file, offsetBytes, sizeBytes } of places) {
      const args = ['--find', '--show', ...(options.readOnly === true ? ['--read-only'] : []), '--offset', String(offsetBytes), '--sizelimit', String(sizeBytes), '--', file]
      devices.push((await tool('losetup', args)).stdout.trim())
    }
    return await work(devices, places)
  } finally {
    for (const device of devices) await tool('losetup', ['--detach', device], { allowedExitCodes: [1] })
  }
}
