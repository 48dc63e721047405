/**
 * What runs on a source while it is replicated: file system stressors, direct and mapped writes, builds and databases. Each works in a
 * directory of its own, from a seed as far as its tools let it, for about so many seconds, and is quiet when it resolves: nothing of it runs
 * any more. Most are ended with SIGKILL, so that what they left half done stays for the comparison.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as pause } from 'node:timers/promises'
import { tool } from '../lab/tool.ts'
import { preparePostgres, runPostgres } from './postgres.ts'

export interface Workload {
  readonly name: string
  /** what it needs before the replication begins; the directory exists */
  readonly prepare?: (directory: string) => Promise<void>
  readonly run: (directory: string, seconds: number, seed: number, signal: AbortSignal) => Promise<void>
}

const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const CHURN = fileURLToPath(new URL('../system/replication/churn.py', import.meta.url))

const STRESSORS = ['hdd', 'rename', 'link', 'symlink', 'dir', 'fallocate', 'chmod', 'xattr', 'sync-file', 'utime', 'touch', 'iomix', 'fpunch', 'revio', 'seek']

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'churn',
    run: async (directory, seconds, seed, signal) => {
      const perSecond = 300
      // ends when its standard input does
      await tool('python3', [CHURN, directory, String(seed), String(seconds * perSecond), String(perSecond)], { timeoutMs: seconds * 4000 + 120_000, signal })
    },
  },
  {
    name: 'stress-ng',
    run: async (directory, seconds, seed, signal) => {
      const stressors = STRESSORS.flatMap(name => [`--${name}`, '1'])
      await killedAfter(seconds, 'stress-ng', ['--temp-path', directory, '--seed', String(seed), '--hdd-bytes', '8M', '--iomix-bytes', '16M', '--fallocate-bytes', '8M', '--sync-file-bytes', '8M', '--revio-bytes', '8M', '--seek-size', '8M', '--timeout', String(seconds * 10), ...stressors], signal)
    },
  },
  ...(['libaio', 'io_uring', 'mmap', 'psync'] as const).flatMap((engine): Workload[] => (engine === 'mmap' ? [0] : engine === 'psync' ? [1] : [0, 1]).map(direct => ({
    name: `fio-${engine}${direct === 1 ? '-direct' : ''}`,
    run: async (directory, seconds, seed, signal) => {
      await killedAfter(seconds, 'fio', [
        '--name=job', `--directory=${directory}`, `--ioengine=${engine}`, `--direct=${String(direct)}`, `--randseed=${String(seed)}`, '--rw=randwrite', '--bsrange=4k-64k', '--blockalign=4k', '--size=12m', '--iodepth=4',
        '--refill_buffers', '--rate_iops=400', '--time_based', `--runtime=${String(seconds * 10)}`, '--fallocate=none', '--thread',
      ], signal)
    },
  }))),
  {
    name: 'build',
    prepare: async directory => { await tool('python3', [beside('make-sources.py'), join(directory, 'sources.tar')]) },
    run: async (directory, seconds, _seed, signal) => { await killedAfter(seconds, 'bash', [beside('build.sh'), directory], signal) },
  },
  {
    name: 'sqlite',
    run: async (directory, seconds, seed, signal) => { await killedAfter(seconds, 'python3', [beside('sqlite-writers.py'), directory, String(seed)], signal) },
  },
  { name: 'postgres', prepare: preparePostgres, run: runPostgres },
]

/** Makes the directories, and what the workloads need in them. */
export async function prepareWorkloads(workloads: readonly Workload[], root: string): Promise<void> {
  await Promise.all(workloads.map(async ({ name, prepare }) => {
    await mkdir(join(root, name), { recursive: true })
    await prepare?.(join(root, name))
  }))
}

/** Runs them all at once; when it ends nothing of them runs any more. @throws {Error} when one could not run, or has done nothing */
export async function runWorkloads(workloads: readonly Workload[], root: string, seconds: number, seed: number, signal: AbortSignal): Promise<void> {
  const failed = new AbortController()
  const all = workloads.map(async ({ name, run }) => {
    try {
      await run(join(root, name), seconds, seed, AbortSignal.any([signal, failed.signal]))
      if ((await readdir(join(root, name))).length === 0) throw new Error('it has left nothing behind')
    } catch (error) {
      // the first one ends all others
      failed.abort(new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error }))
    }
  })
  await Promise.all(all)
  failed.signal.throwIfAborted()
}

/** Runs it in a process group of its own and ends that with SIGKILL. @throws {Error} when it ended with an error before */
async function killedAfter(seconds: number, program: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => { said = (said + chunk.toString()).slice(-2000) })
  const exit = once(child, 'exit')
  try {
    const [code] = await Promise.race([exit, pause(seconds * 1000, [0], { signal })]) as unknown[]
    if (code !== 0) throw new Error(`${program} ended with ${String(code)}: ${said}`)
  } finally {
    const { pid } = child
    if (pid !== undefined) endGroup(pid)
  }
  await exit
  if (child.pid !== undefined) await groupGone(child.pid)
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

const GONE_MS = 30_000

/** Children that were reparented are not ours to wait for, but they must not write any more. */
async function groupGone(pid: number): Promise<void> {
  const until = performance.now() + GONE_MS
  for (;;) {
    if (!(await readdir('/proc')).some(name => /^\d+$/.test(name) && isOfGroup(name, pid))) return
    if (performance.now() > until) throw new Error(`process group ${String(pid)} did not end`)
    await pause(20)
  }
}

function isOfGroup(process: string, group: number): boolean {
  try {
    const stat = readFileSync(`/proc/${process}/stat`, 'utf8')
    // behind the name in brackets: state, parent, process group
    const [state, , of] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(of) === group && state !== 'Z'
  } catch {
    return false // it has just ended
  }
}
