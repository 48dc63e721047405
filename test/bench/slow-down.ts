/**
 * What an agent costs the work on its source: the same work with and without it, alternating, medians. Where there are two processors or more
 * the receiver, which would be another machine, keeps to one half of them; the work and the agent share the other.
 */
import { availableParallelism } from 'node:os'
import { chmod, mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { tool } from '../lab/tool.ts'
import { startReplication } from '../lab/transfer.ts'
import { preparePostgres, transactPostgres } from '../workloads/postgres.ts'
import { makeSmallFiles } from './corpus.ts'
import type { Volumes } from './volumes.ts'

export interface SlowDown { work: string, withoutMs: number[], withMs: number[] }

interface Work {
  name: string
  /** not measured: what has to be there first */
  prepare: (directory: string) => Promise<void>
  run: (directory: string, processors: string, signal: AbortSignal) => Promise<void>
}

/** `size`: 1 for the whole work, less for a part of it. Gives each work when it is done. */
export async function* slowDowns(volumes: Volumes, runs: number, size: number, signal: AbortSignal): AsyncGenerator<SlowDown, void, void> {
  const archive = join(volumes.scratch, 'files.tar')
  const files = join(volumes.source, 'files')
  await mkdir(files)
  makeSmallFiles(files, Math.ceil(40_000 * size))
  await tool('tar', ['-cf', archive, '-C', files, '.'], { timeoutMs: 600_000 })
  await rm(files, { recursive: true })
  // databases run as a user of their own
  for (let at = volumes.source; at.length > 1; at = dirname(at)) await chmod(at, 0o755)
  const half = Math.max(1, Math.floor(availableParallelism() / 2))
  const sourceSide = `0-${String(half - 1)}`
  for (const work of works(archive, size)) {
    const result: SlowDown = { work: work.name, withoutMs: [], withMs: [] }
    for (let run = 0; run < runs; run++) {
      for (const withAgent of run % 2 === 0 ? [false, true] : [true, false]) {
        signal.throwIfAborted()
        const directory = join(volumes.source, 'work')
        await mkdir(directory)
        await work.prepare(directory)
        await tool('sync', ['-f', volumes.source], { timeoutMs: 600_000 })
        const ms = withAgent ? await replicated(volumes, sourceSide, half, async () => timed(work, directory, sourceSide, signal), signal) : await timed(work, directory, sourceSide, signal);
        (withAgent ? result.withMs : result.withoutMs).push(ms)
        for (const name of await readdir(volumes.source)) if (name !== 'lost+found') await rm(join(volumes.source, name), { recursive: true })
        await tool('sync', ['-f', volumes.source], { timeoutMs: 600_000 })
      }
    }
    yield result
  }
}

function works(archive: string, size: number): Work[] {
  const mib = Math.ceil(512 * size)
  const nothing = async (): Promise<void> => undefined
  return [
    {
      name: 'fio, buffered',
      prepare: nothing,
      run: async (directory, processors, signal) => {
        await tool('taskset', ['-c', processors, 'fio', '--name=job', `--directory=${directory}`, '--ioengine=psync', '--rw=randwrite', '--bs=16k', `--size=${String(mib)}m`, `--io_size=${String(mib * 2)}m`, '--fallocate=none', '--end_fsync=1', '--randseed=1', '--thread'], { timeoutMs: 600_000, signal })
      },
    },
    {
      name: 'untar',
      prepare: nothing,
      run: async (directory, processors, signal) => { await tool('taskset', ['-c', processors, 'tar', '-xf', archive, '-C', directory], { timeoutMs: 600_000, signal }) },
    },
    {
      name: 'pgbench', prepare: preparePostgres,
      run: async (directory, processors) => { await transactPostgres(directory, Math.ceil(3000 * size), processors) },
    },
  ]
}

async function timed(work: Work, directory: string, processors: string, signal: AbortSignal): Promise<number> {
  const from = performance.now()
  await work.run(directory, processors, signal)
  return Math.round(performance.now() - from)
}

async function replicated(volumes: Volumes, sourceSide: string, half: number, work: () => Promise<number>, signal: AbortSignal): Promise<number> {
  const target = await volumes.freshTarget()
  await using replication = await startReplication({ source: volumes.source, target, request: { compare: 'none', orphans: 'keep' } }, signal)
  const receiverSide = half < availableParallelism() ? `${String(half)}-${String(availableParallelism() - 1)}` : sourceSide
  for (const [pid, processors] of [[replication.agentPid, sourceSide], [replication.receiverPid, receiverSide]] as const) await tool('taskset', ['-a', '-c', '-p', processors, String(pid)])
  const ms = await work()
  // what still waits is not lost, but it is not measured either
  await replication.drain(false)
  return ms
}
