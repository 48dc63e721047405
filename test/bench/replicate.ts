/**
 * Replication under load: a file system is mirrored, replicated while a load runs on it, drained, and compared with its replica by tools that
 * we did not write. Latency is told by the agent and checked by a probe from outside. Both ends share this machine's processors.
 */
import { freemem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { differences } from '../oracle.ts'
import { processCpuMs, residentBytes } from '../lab/processor-time.ts'
import { startReplication, type Replication } from '../lab/transfer.ts'
import { makeLargeFiles, makeSmallFiles } from './corpus.ts'
import { runLoad, type Load, type LoadReport } from './load.ts'
import { startLsyncd } from './lsyncd.ts'
import { needPackage } from './package.ts'
import { Probe, type ProbeReport } from './probe.ts'
import { kernelSource, slowDowns, type SlowDown } from './slow-down.ts'
import { DIFFERENCES, type Figure } from './verdict.ts'
import { openVolumes, type FileSystemType, type Volumes } from './volumes.ts'

export interface ReplicateBenchOptions {
  type: FileSystemType, on: 'memory' | 'disk'
  files: number, largeMiB: number, seconds: number
  /** of the slow-down, with and without an agent each; and how much of its work is done, 1 for all */
  runs: number, size: number
  memoryFiles: number, memorySeconds: number
  works: readonly ReplicateWork[]
}

export const REPLICATE_WORKS = ['steady', 'random', 'names', 'slow-down', 'lsyncd', 'freeze', 'memory'] as const
export type ReplicateWork = typeof REPLICATE_WORKS[number]

export interface ReplicateRow { work: string, figures: Figure[], raw: object }

/** What a load under replication came to. */
interface Outcome { load: LoadReport, probe: ProbeReport, agentCpuShare: number, receiverCpuShare: number, agentCpuMs: number, drained: Awaited<ReturnType<Replication['drain']>>, bytesReplicated: number, differences: readonly string[] }

interface Bench { options: ReplicateBenchOptions, say: (line: string) => void, signal: AbortSignal }

const MIXED_BYTES_PER_S = 20_000_000
const BLOCKS_PER_S = 2000
const NAMES_PER_S = 10_000
/** how long a stamp may take after the load has ended before it counts as what it has waited */
const PROBE_DEADLINE_MS = 60_000
const DRAIN_DEADLINE_MS = 300_000
const LSYNCD_DEADLINE_MS = 300_000
/** of a day: what a busy server changes */
const CHANGES_PER_S = 20
const DAY_S = 86_400
const SAMPLE_MS = 1000

/** Runs the works that are asked for and gives each row when it is done. Needs root, memory or disk for about three times the data, and leaves nothing behind, also when it is aborted. */
export async function* benchReplicate(options: ReplicateBenchOptions, say: (line: string) => void, signal: AbortSignal): AsyncGenerator<ReplicateRow, void, void> {
  for (const work of options.works) yield await MEASURES[work]({ options, say, signal })
}

const MEASURES: Record<ReplicateWork, (bench: Bench) => Promise<ReplicateRow>> = {
  steady: async bench => {
    await using volumes = await mixedVolumes(bench)
    const outcome = await replicateUnder(bench, volumes, volumes.source, mixedLoad(bench))
    return {
      work: `steady ${String(MIXED_BYTES_PER_S / 1e6)} MB/s of mixed writes on ${count(bench.options.files)} files`, raw: outcome,
      figures: [...latencies(outcome, 2000), { what: 'agent, of one core', value: outcome.agentCpuShare * 100, unit: '%', most: 25 }, ...common(outcome)],
    }
  },
  random: async bench => {
    const { type, on, largeMiB, seconds } = bench.options
    const sizeMiB = Math.ceil(largeMiB * 1.05) + 512
    await using volumes = await openVolumes({ type, on: sizeMiB * 2.5 * 2 ** 20 < freemem() ? on : 'disk', sizeMiB, files: 1000 })
    bench.say(`making a file of ${count(largeMiB)} MiB`)
    await makeLargeFiles(volumes.source, 1, largeMiB * 2 ** 20)
    const outcome = await replicateUnder(bench, volumes, join(volumes.source, 'large-0'), { kind: 'random', rate: BLOCKS_PER_S, seconds })
    return {
      work: `random 4 KiB writes in a file of ${count(largeMiB)} MiB at ${count(BLOCKS_PER_S)}/s`, raw: outcome,
      figures: [{ what: 'bytes sent / bytes changed', value: outcome.bytesReplicated / outcome.load.bytes, unit: '', most: 1.5 }, ...latencies(outcome, 3000), { what: 'agent, of one core', value: outcome.agentCpuShare * 100, unit: '%' }, ...common(outcome)],
    }
  },
  names: async bench => {
    const { type, on, seconds } = bench.options
    await using volumes = await openVolumes({ type, on, sizeMiB: 2048, files: NAMES_PER_S * seconds })
    const outcome = await replicateUnder(bench, volumes, volumes.source, { kind: 'names', rate: NAMES_PER_S, seconds })
    return {
      work: `${count(NAMES_PER_S)} creates, renames and deletes per second for ${String(seconds)} s`, raw: outcome,
      figures: [{ what: 'drained after', value: outcome.drained.drainMs, unit: 'ms', most: 30_000 }, ...latencies(outcome), { what: 'agent, of one core', value: outcome.agentCpuShare * 100, unit: '%' }, ...common(outcome)],
    }
  },
  'slow-down': async bench => {
    const { type, on, runs, size } = bench.options
    const archive = await kernelSource(bench.say)
    await using volumes = await openVolumes({ type, on, sizeMiB: 5120, files: 120_000 })
    const raw: SlowDown[] = []
    for await (const one of slowDowns(volumes, { runs, size, kernelSource: archive }, bench.signal)) {
      bench.say(`${one.work}: without ${one.withoutMs.join(' ')} ms, with ${one.withMs.join(' ')} ms`)
      raw.push(one)
    }
    return { work: `slow-down of the work on the source, median of ${String(runs)}`, raw, figures: raw.map(({ work, isExtreme, withMs, withoutMs }) => ({ what: work, value: (median(withMs) / median(withoutMs) - 1) * 100, unit: '%', ...isExtreme ? {} : { most: 10 } })) }
  },
  lsyncd: async bench => {
    await needPackage('lsyncd', 'the peer', bench.say)
    await using volumes = await mixedVolumes(bench)
    const ours = await replicateUnder(bench, volumes, volumes.source, mixedLoad(bench))
    const target = await volumes.freshTarget()
    await using lsyncd = await startLsyncd(volumes.scratch, volumes.source, target)
    const probe = Probe.start(volumes.source, target)
    const before = lsyncd.cpuMs()
    const load = await runLoad(volumes.source, mixedLoad(bench), bench.signal)
    const theirs = { load, probe: await probe.stop(LSYNCD_DEADLINE_MS), cpuMs: lsyncd.cpuMs() - before }
    return {
      work: 'lsyncd+rsync under the same load, theirs / ours', raw: { ours, theirs },
      figures: [
        { what: 'our probe p50', value: ours.probe.msP50, unit: 'ms' }, { what: 'their probe p50', value: theirs.probe.msP50, unit: 'ms' },
        { what: 'our processor time', value: ours.agentCpuMs, unit: 'ms' }, { what: 'their processor time', value: theirs.cpuMs, unit: 'ms' },
        { what: 'latency, times', value: theirs.probe.msP50 / ours.probe.msP50, unit: '', least: 5 }, { what: 'processor time, times', value: theirs.cpuMs / ours.agentCpuMs, unit: '', least: 5 },
        { what: DIFFERENCES, value: ours.differences.length, unit: '', most: 0 },
      ],
    }
  },
  memory: measureMemory,
  freeze: async bench => {
    const work = `freeze to drained at ${String(MIXED_BYTES_PER_S / 1e6)} MB/s`
    await using volumes = await mixedVolumes(bench)
    const target = await volumes.freshTarget()
    await using replication = await startReplication({ source: volumes.source, target, request: { compare: 'none', orphans: 'keep' } }, bench.signal)
    const over = new AbortController()
    const running = runLoad(volumes.source, { ...mixedLoad(bench), seconds: 3600 }, AbortSignal.any([bench.signal, over.signal]))
    running.catch(() => undefined)
    const probe = Probe.start(volumes.source, target)
    try {
      await Promise.race([probe.runFor(bench.options.seconds * 1000, bench.signal), running])
      // its writes would block while the source is frozen
      const seen = await probe.stop(PROBE_DEADLINE_MS)
      const found: string[] = []
      // only while it is frozen are they to be equal
      const compare = async (): Promise<void> => { found.push(...await differences(volumes.source, target)) }
      const drained = await Promise.race([replication.drain(true, compare), pause(DRAIN_DEADLINE_MS, undefined, { ref: false })])
      if (drained === undefined) return { work: `${work}: it did not come down to a freeze`, raw: { probe: seen }, figures: [{ what: 'drain in all', value: DRAIN_DEADLINE_MS, unit: 'ms', most: 0 }] }
      return {
        work, raw: { drained, probe: seen, differences: found },
        figures: [{ what: 'frozen', value: drained.frozenMs ?? Number.NaN, unit: 'ms', most: 2000 }, { what: 'drain in all', value: drained.drainMs, unit: 'ms' }, { what: DIFFERENCES, value: found.length, unit: '', most: 0 }, { what: 'findings', value: drained.findings.length, unit: '', most: 0 }],
      }
    } finally {
      over.abort()
      await Promise.allSettled([running])
    }
  },
}

async function mixedVolumes({ options: { type, on, files }, say, signal }: Bench): Promise<Volumes> {
  const volumes = await openVolumes({ type, on, sizeMiB: Math.ceil(files * 0.016) + 3072, files })
  try {
    say(`making ${count(files)} small files`)
    makeSmallFiles(volumes.source, files)
    await runLoad(volumes.source, { kind: 'mixed', rate: 0, seconds: 0 }, signal)
    return volumes
  } catch (error) {
    await volumes[Symbol.asyncDispose]()
    throw error
  }
}

function mixedLoad({ options: { files, seconds } }: Bench): Load {
  return { kind: 'mixed', rate: MIXED_BYTES_PER_S, seconds, files }
}

async function replicateUnder({ say, signal }: Bench, volumes: Volumes, place: string, load: Load): Promise<Outcome> {
  const target = await volumes.freshTarget()
  await using replication = await startReplication({ source: volumes.source, target, request: { compare: 'none', orphans: 'keep' } }, signal)
  say(`mirrored in ${String(replication.mirrored.durationMs)} ms; the load runs for ${String(load.seconds)} s`)
  const probe = Probe.start(volumes.source, target)
  const cpu = (): { agent: number, receiver: number } => ({ agent: processCpuMs(replication.agentPid), receiver: processCpuMs(replication.receiverPid) })
  const before = cpu()
  const from = performance.now()
  const did = await runLoad(place, load, signal)
  const ms = performance.now() - from
  const after = cpu()
  const seen = await probe.stop(PROBE_DEADLINE_MS)
  // until the last stamp has come, as that of others is taken: the drain also looks at everything once more
  const agentCpuMs = cpu().agent - before.agent
  const drained = await replication.drain(false)
  const outcome = { load: did, probe: seen, agentCpuShare: (after.agent - before.agent) / ms, receiverCpuShare: (after.receiver - before.receiver) / ms, agentCpuMs, drained, bytesReplicated: drained.bytesSent - replication.mirrored.bytesSent }
  return { ...outcome, differences: await differences(volumes.source, target) }
}

function latencies({ drained, probe }: Outcome, mostP99?: number): Figure[] {
  return [
    { what: 'latency p50', value: drained.latencyMsP50, unit: 'ms' }, { what: 'latency p99', value: drained.latencyMsP99, unit: 'ms', ...mostP99 === undefined ? {} : { most: mostP99 } },
    { what: 'probe p50', value: probe.msP50, unit: 'ms' }, { what: 'probe p99', value: probe.msP99, unit: 'ms' },
  ]
}

function common({ load, drained, differences: found }: Outcome): Figure[] {
  return [
    { what: 'load behind', value: load.behindMs, unit: 'ms' }, { what: 'drain', value: drained.drainMs, unit: 'ms' },
    { what: DIFFERENCES, value: found.length, unit: '', most: 0 }, { what: 'findings', value: drained.findings.length, unit: '', most: 0 },
  ]
}

/** A day's changes in so many seconds, on many files: what the agent holds in memory. */
async function measureMemory({ options: { type, on, memoryFiles: files, memorySeconds: seconds }, say, signal }: Bench): Promise<ReplicateRow> {
  // its directories are inodes, too
  await using volumes = await openVolumes({ type, on, sizeMiB: Math.ceil(files * 0.006) + 1024, files: Math.ceil(files * 1.1) })
  say(`making ${count(files)} files`)
  makeSmallFiles(volumes.source, files, 0)
  const target = await volumes.freshTarget()
  await using replication = await startReplication({ source: volumes.source, target, request: { compare: 'none', orphans: 'keep' } }, signal)
  const over = new AbortController()
  const samples: number[] = []
  const sampling = (async () => {
    while (!over.signal.aborted) {
      samples.push(residentBytes(replication.agentPid) / 2 ** 20)
      await pause(SAMPLE_MS)
    }
  })()
  const rate = CHANGES_PER_S * DAY_S / seconds
  try {
    const load = await runLoad(volumes.source, { kind: 'touch', rate, seconds, files }, signal)
    const quarter = Math.floor(samples.length / 4)
    const [early, late] = [samples.slice(quarter, 2 * quarter), samples.slice(3 * quarter)].map(part => Math.max(...part)) as [number, number]
    const drained = await replication.drain(false)
    const found = await differences(volumes.source, target)
    return {
      work: `memory of the agent, ${count(files)} files, ${count(load.operations)} changes in ${String(seconds)} s`, raw: { load, samples, drained },
      figures: [
        { what: 'most resident', value: Math.max(...samples), unit: 'MiB', most: 256 }, { what: 'growth, last quarter against the second', value: (late / early - 1) * 100, unit: '%', most: 10 },
        { what: 'drain', value: drained.drainMs, unit: 'ms' }, { what: DIFFERENCES, value: found.length, unit: '', most: 0 },
      ],
    }
  } finally {
    over.abort()
    await sampling
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

const count = (number: number): string => number.toLocaleString('en')
