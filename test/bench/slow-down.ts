/**
 * What an agent costs the work on its source: the same work with and without it, alternating, medians. Where there are two processors or more
 * the receiver, which would be another machine, keeps to one half of them; the work and the agent share the other. All are warm: each work has
 * run once where it is measured, and the agent, which runs for days, has replicated it then.
 */
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { waitUntil } from '../lab/process-identity.ts'
import { tool } from '../lab/tool.ts'
import { startReplication } from '../lab/transfer.ts'
import { preparePostgres, transactPostgres } from '../workloads/postgres.ts'
import { makeSmallFiles } from './corpus.ts'
import { needPackage } from './package.ts'
import type { Volumes } from './volumes.ts'

/** isExtreme: told for itself, and not what is promised of */
export interface SlowDown { work: string, isExtreme: boolean, withoutMs: number[], withMs: number[] }

export interface SlowDownOptions {
  runs: number
  /** 1 for the whole work, less for a part of it */
  size: number
  /** an archive to be unpacked */
  kernelSource: string
}

interface Work {
  name: string
  isExtreme?: boolean
  /** not measured: what has to be there first */
  prepare?: (directory: string) => Promise<void>
  run: (directory: string, processors: string, signal: AbortSignal) => Promise<void>
}

const CAUGHT_UP_MS = 300_000
const WORK_MS = 600_000

/** Debian's kernel source as it is distributed. @throws {Error} when it cannot be installed */
export async function kernelSource(say: (line: string) => void): Promise<string> {
  await needPackage('linux-source', 'the archive to be unpacked', say)
  const name = (await readdir('/usr/src')).filter(name => /^linux-source-[0-9.]+\.tar\.xz$/.test(name)).toSorted().at(-1)
  if (name === undefined) throw new Error('the package linux-source brought no archive')
  return join('/usr/src', name)
}

/** Gives each work when it is done. */
export async function* slowDowns(volumes: Volumes, { runs, size, kernelSource }: SlowDownOptions, signal: AbortSignal): AsyncGenerator<SlowDown, void, void> {
  const archive = join(volumes.scratch, 'files.tar')
  const files = join(volumes.source, 'files')
  await mkdir(files)
  makeSmallFiles(files, Math.ceil(40_000 * size))
  await tool('tar', ['-cf', archive, '-C', files, '.'], { timeoutMs: WORK_MS })
  await rm(files, { recursive: true })
  // databases run as a user of their own
  for (let at = volumes.source; at.length > 1; at = dirname(at)) await chmod(at, 0o755)
  const half = Math.max(1, Math.floor(availableParallelism() / 2))
  const sourceSide = `0-${String(half - 1)}`
  const receiverSide = half < availableParallelism() ? `${String(half)}-${String(availableParallelism() - 1)}` : sourceSide
  for (const work of works(archive, kernelSource, size)) {
    const result: SlowDown = { work: work.name, isExtreme: work.isExtreme === true, withoutMs: [], withMs: [] }
    const once = async (): Promise<number> => await timed(work, volumes, sourceSide, signal)
    for (let run = 0; run < runs; run++) {
      for (const withAgent of run % 2 === 0 ? [false, true] : [true, false]) {
        if (withAgent) {
          result.withMs.push(await replicated(volumes, { sourceSide, receiverSide }, once, signal))
        } else {
          await once()
          result.withoutMs.push(await once())
        }
        for (const name of await readdir(volumes.source)) if (name !== 'lost+found') await rm(join(volumes.source, name), { recursive: true })
        await tool('sync', ['-f', volumes.source], { timeoutMs: WORK_MS })
      }
    }
    yield result
  }
}

function works(archive: string, kernelSource: string, size: number): Work[] {
  const mib = Math.ceil(512 * size)
  const unpack = (archive: string): Work['run'] => async (directory, processors, signal) => {
    await tool('taskset', ['-c', processors, 'tar', '-xf', archive, '-C', directory], { timeoutMs: WORK_MS, signal })
  }
  return [
    {
      name: 'fio, buffered',
      run: async (directory, processors, signal) => {
        await tool('taskset', ['-c', processors, 'fio', '--name=job', `--directory=${directory}`, '--ioengine=psync', '--rw=randwrite', '--bs=16k', `--size=${String(mib)}m`, `--io_size=${String(mib * 2)}m`, '--fallocate=none', '--end_fsync=1', '--randseed=1', '--thread'], { timeoutMs: WORK_MS, signal })
      },
    },
    { name: 'untar of the kernel source', run: unpack(kernelSource) },
    {
      name: 'pgbench', prepare: preparePostgres,
      run: async (directory, processors) => { await transactPostgres(directory, Math.ceil(3000 * size), processors) },
    },
    // nothing but creating files, from memory into memory: the kernel's part of what capture costs shows here
    { name: 'untar of small files that are not packed', isExtreme: true, run: unpack(archive) },
  ]
}

/** How long the work took, in milliseconds; what it has made is removed. */
async function timed({ prepare, run }: Work, { source }: Volumes, processors: string, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted()
  const directory = join(source, 'work')
  await mkdir(directory)
  await prepare?.(directory)
  await tool('sync', ['-f', source], { timeoutMs: WORK_MS })
  const from = performance.now()
  await run(directory, processors, signal)
  const ms = Math.round(performance.now() - from)
  await rm(directory, { recursive: true })
  await tool('sync', ['-f', source], { timeoutMs: WORK_MS })
  return ms
}

async function replicated(volumes: Volumes, { sourceSide, receiverSide }: { sourceSide: string, receiverSide: string }, work: () => Promise<number>, signal: AbortSignal): Promise<number> {
  const target = await volumes.freshTarget()
  await using replication = await startReplication({ source: volumes.source, target, request: { compare: 'none', orphans: 'keep' } }, signal)
  for (const [pid, processors] of [[replication.agentPid, sourceSide], [replication.receiverPid, receiverSide]] as const) await tool('taskset', ['-a', '-c', '-p', processors, String(pid)])
  await work()
  await writeFile(join(volumes.source, 'caught-up'), '')
  await waitUntil('the replica to catch up', CAUGHT_UP_MS, () => existsSync(join(target, 'caught-up')))
  const ms = await work()
  // what still waits is not lost, but it is not measured either
  await replication.drain(false)
  return ms
}
