/**
 * Is the replica what the source was? Compares each volume of the frozen source with the same volume on the disks that the appliance handed
 * over, mounted read-only, with a tool that shares no code with the product: treecmp beside the project, or rsync where that is missing.
 */
import { access, mkdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { FixUpReport } from '../../src/domain/replica.ts'
import { TREECMP } from './paths.ts'
import { placeOf, withLoops } from './places.ts'
import type { RunDirectory } from './run-directory.ts'
import { tool } from './tool.ts'

export interface Difference { volume: string, path: string, what: string, source?: unknown, replica?: unknown }

export interface VolumePair {
  mountPoint: string
  /** the source's volume: a mounted device */
  sourceMount: string
  /** image file of the replica's disk and the partition on it */
  replicaDisk: string
  partition: number
  type: 'ext4' | 'xfs'
}

export interface Comparison {
  judge: 'treecmp' | 'rsync'
  /** names compared on the source */
  entries: number
  /** what differs and nobody meant to */
  differences: Difference[]
  /** differences at paths that the cutover changed on purpose */
  fixups: Difference[]
  equal: boolean
}

/** The paths of what the boot fix-ups say they changed; of a directory that they removed with all that was in it, with a slash at the end, too. */
export function changedOnPurpose(report: FixUpReport | undefined): string[] {
  if (report === undefined) throw new Error('the job has no report of its boot fix-ups')
  return report.results.flatMap(({ changed }) => changed.flatMap(({ path, gone }) => gone === true ? [path, `${path}/`] : [path]))
}

/** `changedOnPurpose`: absolute paths of the files that the cutover changed; the directories that hold them have new times, or are new. */
export async function compareVolumes(run: RunDirectory, pairs: readonly VolumePair[], changedOnPurpose: readonly string[]): Promise<Comparison> {
  const result = await emptyComparison()
  for (const pair of pairs) {
    const sourceView = await mountSourceView(run, pair)
    const replicaView = join(run.path, 'compare-replica')
    try {
      await withLoops([await placeOf(pair.replicaDisk, pair.partition)], async ([device = '']) => {
        try {
          await mountUntouched(replicaView, device, pair)
          await compareViews(result, pair.mountPoint, sourceView, replicaView, changedOnPurpose)
        } finally {
          await tool('umount', [replicaView], { allowedExitCodes: [32] })
        }
      }, { readOnly: true })
    } finally {
      await tool('umount', [sourceView])
      await rm(copyOf(run))
      await rmdir(sourceView)
      await rmdir(replicaView)
    }
  }
  result.equal = result.differences.length === 0
  return result
}

export async function emptyComparison(): Promise<Comparison> {
  const judge = await access(TREECMP).then(() => 'treecmp' as const, () => 'rsync' as const)
  return { judge, entries: 0, differences: [], fixups: [], equal: false }
}

/** Compares two mounted trees, of which both are the file system at `mountPoint`, and adds what it finds to the result. */
export async function compareViews(result: Comparison, mountPoint: string, sourceView: string, replicaView: string, changedOnPurpose: readonly string[]): Promise<void> {
  const found = result.judge === 'treecmp' ? await treecmp(sourceView, replicaView) : await rsync(sourceView, replicaView)
  result.entries += found.entries
  for (const difference of found.differences) {
    const entry = { ...difference, volume: mountPoint, path: join(mountPoint, difference.path) };
    (onPurpose(entry, changedOnPurpose) ? result.fixups : result.differences).push(entry)
  }
}

function onPurpose({ path, what }: Difference, changed: readonly string[]): boolean {
  if (changed.includes(path) || changed.some(gone => gone.endsWith('/') && path.startsWith(gone))) return true
  const holdsChanged = changed.some(file => file.startsWith(path === '/' ? path : `${path}/`))
  return holdsChanged && (what === 'mtime_ns' || what.startsWith('orphan') || what === '.d..t......')
}

/**
 * A copy of the frozen volume, without what is mounted on it: also what lies below mount points is compared. The volume itself would not do:
 * to look up an inode that fell out of memory can block on a frozen XFS until it is thawed (seen in xfs_iget), and nothing can end that.
 */
async function mountSourceView(run: RunDirectory, pair: VolumePair): Promise<string> {
  const view = join(run.path, 'compare-source')
  const { stdout } = await tool('findmnt', ['-n', '-o', 'SOURCE', '--mountpoint', pair.sourceMount])
  const copy = copyOf(run)
  // past the device's own cache, which knows nothing of what the file system wrote
  await tool('dd', [`if=${stdout.trim()}`, `of=${copy}`, 'bs=4M', 'iflag=direct', 'conv=sparse', 'status=none'], { timeoutMs: 600_000 })
  await mountUntouched(view, copy, pair, ['loop'])
  return view
}

const copyOf = (run: RunDirectory): string => join(run.path, 'compare-source.img')

/** Nothing is replayed and nothing written: what is there is what was handed over, or frozen. */
async function mountUntouched(view: string, device: string, { type }: VolumePair, more: readonly string[] = []): Promise<void> {
  await mkdir(view, { recursive: true })
  await tool('mount', ['-t', type, '-o', ['ro', ...type === 'xfs' ? ['norecovery', 'nouuid'] : ['noload'], ...more].join(','), device, view])
}

type Found = Omit<Difference, 'volume'>

const TreecmpReport = z.object({
  entries: z.number(), differences: z.number(),
  found: z.array(z.object({ path: z.string(), what: z.string(), source: z.unknown(), replica: z.unknown() })),
})

async function treecmp(source: string, replica: string): Promise<{ entries: number, differences: Found[] }> {
  const { stdout } = await tool('python3', [TREECMP, '--json', '--limit', '100000', source, replica], { allowedExitCodes: [1], timeoutMs: 600_000 })
  const report = TreecmpReport.parse(JSON.parse(stdout))
  return { entries: report.entries, differences: report.found }
}

/** Sizes, times, owners, modes, links, ACLs and xattrs by rsync's comparison, data by checksum. */
async function rsync(source: string, replica: string): Promise<{ entries: number, differences: Found[] }> {
  const { stdout } = await tool('rsync', ['-naHAXS', '--checksum', '--delete', '--one-file-system', '--numeric-ids', '--exclude=/lost+found', '--out-format=%i %n', '--stats', `${source}/`, `${replica}/`], { timeoutMs: 600_000 })
  const entries = Number((/^Number of files: ([\d,]+)/m.exec(stdout)?.[1] ?? '0').replaceAll(',', ''))
  const lines = stdout.split('\n').filter(line => /^(?:[<>ch.*][fdLDS.][^ ]{9}|\*deleting {2}) /.test(line))
  return { entries, differences: lines.map(line => ({ path: line.slice(12).replace(/\/$/, ''), what: line.slice(0, 11).trim() })) }
}

