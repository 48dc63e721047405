/**
 * Mirror against rsync and tar: the same work on the same loop-mounted file systems, alternating, warm, medians; the ratio is peer / ours
 * (above 1: we are faster). Both ends share this machine's processors, so processor time is measured as well.
 */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { debianRoot } from '../lab/image/image.ts'
import { tool } from '../lab/tool.ts'
import { changeBlocks, makeLargeFiles, makeSmallFiles } from './corpus.ts'
import { landfall, rsync, tarPipes, type Cost, type Peer } from './peers.ts'
import type { Figure } from './verdict.ts'
import { openVolumes, type FileSystemType, type Volumes } from './volumes.ts'

export interface MirrorBenchOptions {
  type: FileSystemType, on: 'memory' | 'disk', runs: number
  smallFiles: number, largeFiles: number, largeMiB: number, deltaMiB: number, memoryFiles: number
  /** a directory to copy instead of the lab's Debian root tree */
  root: string | undefined
  works: readonly WorkName[]
}

/** `least`: the ratio that is wanted. */
export interface Row { work: string, peer: string, oursMs: number, peerMs: number, ratio: number, least: number, oursCpuMs: number, peerCpuMs: number, runs: { ours: Cost[], peer: Cost[] } }
export interface MemoryRow { work: string, agentMiB: number, receiverMiB: number, ms: number }
export interface MirrorBench { rows: Row[], memory: MemoryRow[] }

export const WORKS = ['small', 'unchanged', 'root', 'large', 'delta', 'memory'] as const
export type WorkName = typeof WORKS[number]

/** resident at most, with two million files */
const MOST_MIB = 200

/** What is wanted of it. Pure. */
export function figuresOf({ rows, memory }: MirrorBench): Figure[] {
  return [
    ...rows.map(({ ratio, least }) => ({ what: 'times as fast', value: ratio, unit: '', least })),
    ...memory.flatMap(({ agentMiB, receiverMiB }) => [agentMiB, receiverMiB].map(value => ({ what: 'most resident', value, unit: 'MiB', most: MOST_MIB }))),
  ]
}

interface Bench { options: MirrorBenchOptions, say: (line: string) => void, result: MirrorBench, signal: AbortSignal }

/** Runs the works that are asked for. Needs root, memory (or disk) for about four times the data of the largest, and leaves nothing behind, also when it is aborted. */
export async function benchMirror(options: MirrorBenchOptions, say: (line: string) => void, signal: AbortSignal): Promise<MirrorBench> {
  const bench: Bench = { options, say, result: { rows: [], memory: [] }, signal }
  for (const work of options.works) await MEASURES[work](bench)
  return bench.result
}

const MEASURES: Record<WorkName, (bench: Bench) => Promise<void>> = {
  small: async bench => {
    const { smallFiles: files } = bench.options
    await using volumes = await smallVolumes(bench)
    await using archive = await rsync(volumes.scratch, ['-aHAXS'])
    for (const [peer, least] of [[archive, 1.5], [tarPipes(1), 1.3], [tarPipes(2), 0.9]] as const) await compare(bench, `${count(files)} small files, first mirror`, volumes, landfall('none'), peer, least)
  },
  unchanged: async bench => {
    await using volumes = await smallVolumes(bench)
    await using archive = await rsync(volumes.scratch, ['-aHAXS'])
    await compare(bench, `${count(bench.options.smallFiles)} small files, nothing changed`, volumes, landfall('attributes'), archive, 2, async target => { await archive.copy(volumes.source, target, bench.signal) })
  },
  root: async bench => {
    const { root } = bench.options
    const sizeMiB = root === undefined ? 2048 : Math.ceil(Number((await tool('du', ['-sxm', '--', root], { timeoutMs: 600_000 })).stdout.split('\t')[0]) * 1.3) + 1024
    await using volumes = await openVolumes({ type: bench.options.type, on: bench.options.on, sizeMiB, files: 400_000 })
    if (root === undefined) await tool('tar', ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner', '-xpf', await debianRoot(bench.say, bench.signal), '-C', volumes.source], { timeoutMs: 600_000 })
    else await cp(root, volumes.source, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
    await settle(volumes)
    await using archive = await rsync(volumes.scratch, ['-aHAXS'])
    await compare(bench, `${root === undefined ? 'a Debian root tree' : root}, first mirror`, volumes, landfall('none'), archive, 1.5)
  },
  large: async bench => {
    const { largeFiles: files, largeMiB } = bench.options
    await using volumes = await openVolumes({ type: bench.options.type, on: bench.options.on, sizeMiB: Math.ceil(files * largeMiB * 1.1) + 512, files: 1000 })
    await makeLargeFiles(volumes.source, files, largeMiB * 2 ** 20)
    await settle(volumes)
    await using whole = await rsync(volumes.scratch, ['-aHAXS', '-W'])
    await compare(bench, `${count(files * largeMiB)} MiB in ${String(files)} files, first mirror`, volumes, landfall('none'), whole, 1.3)
  },
  delta: async bench => {
    const { deltaMiB } = bench.options
    // rsync writes the whole file beside the old one
    await using volumes = await openVolumes({ type: bench.options.type, on: bench.options.on, sizeMiB: Math.ceil(deltaMiB * 2.2) + 512, files: 1000 })
    await makeLargeFiles(volumes.source, 1, deltaMiB * 2 ** 20)
    await settle(volumes)
    await using delta = await rsync(volumes.scratch, ['-aHAXS', '--no-whole-file'])
    await compare(bench, `${count(deltaMiB)} MiB file, 1 % of its 4 KiB blocks changed`, volumes, landfall('data'), delta, 3, async target => {
      await tool('cp', ['-a', '--', join(volumes.source, 'large-0'), target], { timeoutMs: 600_000 })
      await changeBlocks(join(target, 'large-0'), deltaMiB * 2 ** 20, 0.01)
    })
  },
  memory: async bench => {
    const { memoryFiles: files } = bench.options
    await using volumes = await openVolumes({ type: bench.options.type, on: bench.options.on, sizeMiB: Math.ceil(files * 0.0015) + 1024, files })
    bench.say(`making ${count(files)} files`)
    makeSmallFiles(volumes.source, files, 0)
    await settle(volumes)
    const target = await volumes.freshTarget()
    for (const [what, ours] of [['first mirror', landfall('none')], ['nothing changed', landfall('attributes')]] as const) {
      const { ms, agentPeakBytes = NaN, receiverPeakBytes = NaN } = await ours.copy(volumes.source, target, bench.signal)
      const row = { work: `${count(files)} files, ${what}`, agentMiB: Math.round(agentPeakBytes / 2 ** 20), receiverMiB: Math.round(receiverPeakBytes / 2 ** 20), ms }
      bench.say(`${row.work}: agent ${String(row.agentMiB)} MiB, receiver ${String(row.receiverMiB)} MiB, ${String(ms)} ms`)
      bench.result.memory.push(row)
    }
  },
}

async function smallVolumes({ options, say }: Bench): Promise<Volumes> {
  const { smallFiles: files } = options
  const volumes = await openVolumes({ type: options.type, on: options.on, sizeMiB: Math.ceil(files * 0.016) + 1024, files })
  say(`making ${count(files)} small files`)
  makeSmallFiles(volumes.source, files)
  await settle(volumes)
  return volumes
}

/** What was just written is on its disk, and stays in memory. */
async function settle(volumes: Volumes): Promise<void> {
  await tool('sync', ['-f', volumes.source], { timeoutMs: 600_000 })
}

/** Ours, peer, peer, ours, ...: what drifts, drifts for both. The source was just written: it is in memory for both. */
async function compare({ options, say, result, signal }: Bench, work: string, volumes: Volumes, ours: Peer, peer: Peer, least: number, prepare: (target: string) => Promise<unknown> = async () => undefined): Promise<void> {
  const runs: Row['runs'] = { ours: [], peer: [] }
  for (let run = 0; run < options.runs; run++) {
    const pair = [[ours, runs.ours], [peer, runs.peer]] as const
    for (const [who, costs] of run % 2 === 0 ? pair : pair.toReversed()) {
      signal.throwIfAborted()
      const target = await volumes.freshTarget()
      await prepare(target)
      await tool('sync', ['-f', target], { timeoutMs: 600_000 })
      costs.push(await who.copy(volumes.source, target, signal))
    }
  }
  const of = (costs: readonly Cost[], figure: 'ms' | 'cpuMs'): number => median(costs.map(cost => cost[figure]))
  const oursMs = of(runs.ours, 'ms')
  const peerMs = of(runs.peer, 'ms')
  const row = { work, peer: peer.name, oursMs, peerMs, ratio: peerMs / oursMs, least, oursCpuMs: of(runs.ours, 'cpuMs'), peerCpuMs: of(runs.peer, 'cpuMs'), runs }
  say(`${work} | ${peer.name} | ours ${String(oursMs)} ms (processor ${String(row.oursCpuMs)}) | peer ${String(peerMs)} ms (processor ${String(row.peerCpuMs)}) | ratio ${row.ratio.toFixed(2)}`)
  result.rows.push(row)
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

const count = (number: number): string => number.toLocaleString('en')
