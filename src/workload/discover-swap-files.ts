/** Files that the kernel swaps to. They are files of a volume and come with it; they are told so that the plan can say what becomes of them. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { probeDevice } from '../command/blkid.ts'
import type { Runner } from '../command/runner.ts'
import type { Volume } from '../domain/volume.ts'
import { isSystemError, orFinding, type Report } from './findings.ts'
import type { KernelPlaces } from './kernel-places.ts'
import { unescapeOctal } from './mount-table.ts'

export interface SwapFilesRequest { runner: Runner, kernel: KernelPlaces, volumes: readonly Volume[], report: Report, signal: AbortSignal }

const MAX_FILES = 32

/** Only for a source that runs here: /proc/swaps is the running kernel's. */
export async function discoverSwapFiles({ runner, kernel, volumes, report, signal }: SwapFilesRequest): Promise<Volume[]> {
  const found: Volume[] = []
  for (const { path, sizeBytes } of await swapFiles(kernel)) {
    const carrier = volumes.filter(v => v.mountPoint !== undefined && (v.mountPoint === '/' || path.startsWith(`${v.mountPoint}/`))).sort((a, b) => (b.mountPoint ?? '').length - (a.mountPoint ?? '').length)[0]
    if (carrier === undefined) continue
    const unknown = { uuid: '', label: '', version: '1' }
    const { uuid, label, version } = await orFinding(report, path, 'Check that blkid can read the swap file.', unknown, async () => probeDevice(runner, path, signal), signal)
    found.push({
      name: path, device: path, mountOptions: '', sizeBytes, disk: carrier.disk, partition: carrier.partition, ...(carrier.on === undefined ? {} : { on: carrier.on }), required: false,
      fileSystem: { type: 'swap', typeName: 'swap', uuid, label, blockSizeBytes: 4096, usedBytes: 0, features: [], inodeSizeBytes: 0, properties: { pageSizeBytes: '4096', version: version === '' ? '1' : version, swapfile: 'yes' } },
    })
  }
  return found
}

/** "/swapfile file 2097148 0 -2": the size is in KiB and without the first page, which holds the header. */
async function swapFiles(kernel: KernelPlaces): Promise<{ path: string, sizeBytes: number }[]> {
  try {
    const text = await readFile(join(kernel.proc, 'swaps'), 'utf8')
    return text.split('\n').flatMap(line => {
      const [path, type, size] = line.split(/\s+/)
      return path === undefined || type !== 'file' || !/^\d+$/.test(size ?? '') ? [] : [{ path: unescapeOctal(path), sizeBytes: Number(size) * 1024 + 4096 }]
    }).slice(0, MAX_FILES)
  } catch (error) {
    if (!isSystemError(error)) throw error
    return []
  }
}
