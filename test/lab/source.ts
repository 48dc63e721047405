/**
 * The lab's source server without a guest: its disks on loop devices, its file systems mounted as it would see them, its adapter in a network
 * namespace. The agent and the writer run beside it, with this place as their root.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { checkOutSourceDisks, SOURCE, type Table } from './image/image.ts'
import { startProcess, type LabProcess } from './lab-process.ts'
import { attachLoop } from './loop-devices.ts'
import { WRITER } from './paths.ts'
import { namespaceOf, type RunDirectory } from './run-directory.ts'
import { tool } from './tool.ts'

export interface SourceVolume { mountPoint: string, device: string, type: 'ext4' | 'xfs' }

/** Ends with its run: sweeping the run unmounts, detaches and deletes what is here. */
export interface SourceMachine {
  /** where the source's / is on this machine */
  readonly root: string
  readonly networkNamespace: string
  readonly volumes: readonly SourceVolume[]
  /** Starts changing files; at most one writer at a time. */
  startWriter(seed: number, ratePerSecond: number): Promise<LabProcess>
  /** The files that the writer has finished, oldest first. */
  proofs(): Promise<Proof[]>
}

export const Proof = z.object({ path: z.string(), sha256: z.string(), atMs: z.number() })
export type Proof = z.infer<typeof Proof>

export async function startSource(run: RunDirectory, table: Table, say: (line: string) => void, signal: AbortSignal): Promise<SourceMachine> {
  const disks = await checkOutSourceDisks(run.path, table, say, signal)
  const { device: system } = await attachLoop(disks.system)
  const { device: data } = await attachLoop(disks.data)
  const first = table === 'gpt' ? 2 : 1 // behind the BIOS boot partition
  const volumes: SourceVolume[] = [
    { mountPoint: '/', device: `${system}p${String(first + 1)}`, type: 'ext4' },
    { mountPoint: '/boot', device: `${system}p${String(first)}`, type: 'ext4' },
    { mountPoint: '/data', device: `${data}p1`, type: 'xfs' },
  ]
  const root = join(run.path, 'source')
  await mkdir(root)
  // nouuid: another lab on this machine may have the same file system mounted
  for (const volume of volumes) await tool('mount', ['-o', volume.type === 'xfs' ? 'noatime,nouuid' : 'noatime', volume.device, join(root, volume.mountPoint)])
  const networkNamespace = await makeNetwork(run)
  const record = join(run.path, 'writer-proofs.jsonl')
  return {
    root, networkNamespace, volumes,
    startWriter: async (seed, ratePerSecond) => {
      const writer = await startProcess(run, 'writer', 'python3', [WRITER, '--root', root, '--record', record, '--seed', String(seed), '--rate', String(ratePerSecond)])
      await writer.waitForLog(/^writing/m, 10_000)
      return writer
    },
    proofs: async () => (await readFile(record, 'utf8').catch(() => '')).split('\n').filter(line => line.endsWith('}')).map(line => Proof.parse(JSON.parse(line))),
  }
}

async function makeNetwork(run: RunDirectory): Promise<string> {
  const name = namespaceOf(run.id)
  await tool('ip', ['netns', 'add', name])
  const ip = async (...args: string[]): Promise<void> => { await tool('ip', ['-n', name, ...args]) }
  await ip('link', 'set', 'lo', 'up')
  // a tap, because not every kernel that runs a lab has dummy adapters
  await ip('tuntap', 'add', 'dev', SOURCE.adapter, 'mode', 'tap')
  await ip('link', 'set', SOURCE.adapter, 'address', SOURCE.macAddress)
  await ip('address', 'add', `${SOURCE.address}/${String(SOURCE.prefixLength)}`, 'dev', SOURCE.adapter)
  await ip('link', 'set', SOURCE.adapter, 'up')
  await ip('route', 'add', 'default', 'via', SOURCE.gateway)
  return name
}
