/** A process that belongs to a lab run: it carries the run's variable, writes to a log in the run's folder, and is ended by its id. */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { RUN_VARIABLE, type RunDirectory } from './run-directory.ts'
import { identityOf, isAlive, waitUntil } from './process-identity.ts'

export interface LabProcess {
  readonly name: string
  readonly pid: number
  /** everything it wrote to standard output and standard error */
  readonly logFile: string
  isRunning(): boolean
  /** Asks it to end, ends it when it has not within `graceMs`; fine when it has ended. */
  stop(graceMs?: number): Promise<void>
  /** kill -9, and waits until it is gone */
  kill(): Promise<void>
  /** Waits until the log matches and answers the match. @throws {Error} with the end of the log when it ends before or in time */
  waitForLog(pattern: RegExp, timeoutMs: number): Promise<RegExpMatchArray>
  /** Waits for its end; the exit code, or undefined when a signal ended it. */
  exited(): Promise<number | undefined>
}

export interface ProcessOptions {
  env?: Readonly<Record<string, string>>
  /** keep its standard input open as long as this process lives */
  holdInput?: boolean
  cwd?: string
}

const LOG_TAIL = 3000

export async function startProcess(run: RunDirectory, name: string, file: string, args: readonly string[], o: ProcessOptions = {}): Promise<LabProcess> {
  const logFile = join(run.path, `${name}.log`)
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 })
  await once(log, 'open')
  // its own process group: Ctrl-C in the terminal reaches the lab, which ends its processes in order
  const child = execa(file, args, {
    reject: false, detached: true, cleanup: false, buffer: false, stdin: o.holdInput === true ? 'pipe' : 'ignore',
    stdout: log, stderr: log, env: { ...o.env, [RUN_VARIABLE]: run.id }, ...(o.cwd === undefined ? {} : { cwd: o.cwd }),
  })
  log.close()
  const pid = child.pid
  const identity = pid === undefined ? undefined : identityOf(pid)
  if (pid === undefined || identity === undefined) throw new Error(`${name} could not be started: ${(await child).message ?? 'it ended at once'}\n${await tail(logFile)}`)
  const isRunning = (): boolean => isAlive(identity)
  let hasEnded = false
  void (async () => {
    await child
    hasEnded = true
  })()
  const end = async (signal: NodeJS.Signals, graceMs: number): Promise<void> => {
    if (isRunning()) process.kill(pid, signal)
    await waitUntil(`${name} to end`, graceMs, () => !isRunning()).catch(() => { if (isRunning()) process.kill(pid, 'SIGKILL') })
    // threads that wait for a disk outlive their process, with its locks and ports: only its exit is the end of all of them
    await waitUntil(`${name} to be gone after SIGKILL`, 20_000, () => hasEnded)
  }
  return {
    name, pid, logFile, isRunning,
    stop: async (graceMs = 10_000) => { await end('SIGTERM', graceMs) },
    kill: async () => { await end('SIGKILL', 20_000) },
    exited: async () => (await child).exitCode,
    waitForLog: async (pattern, timeoutMs) => {
      const look = async (): Promise<RegExpMatchArray | undefined> => pattern.exec(await readFile(logFile, 'utf8')) ?? undefined
      try {
        return await waitUntil(`${name} to say ${String(pattern)}`, timeoutMs, async () => {
          const match = await look()
          if (match === undefined && !isRunning()) throw new Error(`${name} ended`)
          return match
        })
      } catch (error) {
        throw new Error(`${name} did not say ${String(pattern)}:\n${await tail(logFile)}`, { cause: error })
      }
    },
  }
}

async function tail(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).slice(-LOG_TAIL)
}
