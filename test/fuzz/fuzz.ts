/** Runs one target in a child process and keeps the input that broke it. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { execa } from 'execa'
import { mountLoop, MOUNT_SKIP } from '../zoo/loop-file-system.ts'
import { tameZoo } from '../zoo/zoo.ts'
import type { TargetName } from './targets.ts'

const CHILD = new URL('child.ts', import.meta.url).pathname
/** beyond the time that was asked for: a single input that takes so long hangs */
const HANG_MS = 20_000

export interface FuzzOptions {
  target: TargetName
  seconds: number
  seed: number
  /** one recorded input instead of new ones */
  input?: string | undefined
}

export interface FuzzResult {
  runs: number
  /** the input that broke it, in a file, and what happened */
  broken?: { file: string, what: string } | undefined
}

export async function fuzz({ target, seconds, seed, input }: FuzzOptions): Promise<FuzzResult> {
  const volume = target === 'operations' && MOUNT_SKIP === false ? mountLoop('ext4', 64) : undefined
  const base = mkdtempSync(join(volume?.path ?? tmpdir(), 'landfall-fuzz-'))
  const currentFile = join(tmpdir(), `landfall-fuzz-${target}-${String(process.pid)}.input`)
  const directory = join(base, 'work')
  mkdirSync(directory)
  try {
    const task = { target, seed, seconds, directory, currentFile, ...(input === undefined ? {} : { input: resolve(input) }) }
    const ran = await execa(process.execPath, ['--max-old-space-size=512', CHILD, JSON.stringify(task)], { reject: false, stdin: 'ignore', timeout: seconds * 1000 + HANG_MS, killSignal: 'SIGKILL' })
    const runs = Number(/(\d+) runs/.exec(ran.stdout)?.[1] ?? 0)
    if (ran.exitCode === 0) return { runs }
    const file = resolve(`fuzz-${target}-${String(seed)}.input`)
    copyFileSync(currentFile, file)
    return { runs, broken: { file, what: ran.timedOut ? 'it hangs' : ran.signal !== undefined ? `the process was ended by ${ran.signal}: ${ran.stderr.slice(-2000)}` : ran.stderr.slice(-3000) } }
  } finally {
    rmSync(currentFile, { force: true })
    tameZoo(base)
    rmSync(base, { recursive: true, force: true })
    volume?.[Symbol.dispose]()
  }
}
