import { execa } from 'execa'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { MAX_TASK_OUTPUT_BYTES } from '../domain/user-task.ts'
import { AppError } from '../errors/app-error.ts'
import type { Readable } from 'node:stream'
import type { Program, Runner, RunOptions, RunResult, Tool } from './runner.ts'
import type { ScriptResult, ScriptRunner } from './script-runner.ts'
import { isAnswer, toolFailed, withOutput } from './tool-failure.ts'

const BASE_ENV = { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
const MAX_OUTPUT = 8 << 20 // characters per stream
const KILL_AFTER_MS = 5000 // between SIGTERM and SIGKILL

/** The real Runner: no shell, no inherited environment, one deadline, bounded output; ends a tool together with what it started. */
export class ExecaRunner implements Runner {
  readonly #programs: Readonly<Partial<Record<Tool, string>>>

  /** @param programs absolute paths of tools that are not where the system keeps its own */
  constructor(programs: Readonly<Partial<Record<Tool, string>>> = {}) {
    this.#programs = programs
  }

  async run(tool: Tool | Program, args: readonly string[], o: RunOptions): Promise<RunResult> {
    o.signal.throwIfAborted()
    const program = tool.startsWith('/') ? tool : this.#programs[tool as Tool] ?? tool
    const running = execa(program, args, {
      reject: false, cancelSignal: o.signal, timeout: o.timeoutMs, forceKillAfterDelay: KILL_AFTER_MS, killDescendants: true,
      extendEnv: false, env: { ...BASE_ENV, ...o.env }, input: o.input ?? '',
      maxBuffer: MAX_OUTPUT, stripFinalNewline: false, buffer: o.keepEndBytes === undefined,
    })
    const ends = o.keepEndBytes === undefined ? undefined : { stdout: endOf(running.stdout, o.keepEndBytes), stderr: endOf(running.stderr, o.keepEndBytes) }
    const r = await running
    const { durationMs } = r
    const stdout = ends?.stdout() ?? r.stdout ?? ''
    const stderr = ends?.stderr() ?? r.stderr ?? ''
    if (!r.failed) return { stdout, stderr, exitCode: 0, durationMs }
    if (r.isCanceled) o.signal.throwIfAborted()
    const said = o.keepEndBytes === undefined ? stderr : `${stdout}${stderr}`
    if (r.timedOut) throw new AppError('TOOL_TIMEOUT', withOutput(`${tool} did not end within ${String(o.timeoutMs)} ms`, said), { cause: r.cause })
    if (r.isMaxBuffer) throw toolFailed(tool, `wrote more than ${String(MAX_OUTPUT)} characters`, '', r.cause)
    if (r.exitCode === undefined && r.code === 'ENOENT') throw new AppError('TOOL_MISSING', `${tool} is not installed`, { cause: r.cause })
    if (r.exitCode !== undefined && isAnswer(r.exitCode, o)) return { stdout, stderr, exitCode: r.exitCode, durationMs }
    const how = r.exitCode === undefined ? `ended by ${r.signal ?? r.code ?? 'an unknown cause'}` : `exited ${String(r.exitCode)}`
    throw toolFailed(tool, how, said, r.cause)
  }
}

/** Reads the stream; the answer tells the end of what has come so far. */
function endOf(stream: Readable, bytes: number): () => string {
  let end: Buffer = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => { end = Buffer.concat([end, chunk.subarray(-bytes)]).subarray(-bytes) })
  return () => end.toString()
}

/** Scripts of one directory. What they write beyond the limit is read and dropped, so that they are not held up by it. */
export class ExecaScriptRunner implements ScriptRunner {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async run(script: string, args: readonly string[], { timeoutMs, signal }: { timeoutMs: number, signal: AbortSignal }): Promise<ScriptResult> {
    signal.throwIfAborted()
    if (script === '' || script.startsWith('.') || script.includes('/')) throw new AppError('TASK_INVALID', `"${script}" is no name of a script`)
    const path = join(this.#directory, script)
    await checkOwned(this.#directory, 'directory')
    await checkOwned(path, 'file')
    const child = execa(path, args, {
      reject: false, cancelSignal: signal, timeout: timeoutMs, forceKillAfterDelay: KILL_AFTER_MS, killDescendants: true,
      extendEnv: false, env: BASE_ENV, stdin: 'ignore', all: true, buffer: false, encoding: 'buffer', cwd: '/',
    })
    const kept = keepBeginning(child.all)
    const ended = await child
    signal.throwIfAborted()
    if (ended.exitCode === undefined && ended.code !== undefined && !ended.timedOut && ended.signal === undefined) throw new AppError('TASK_INVALID', `the script ${path} cannot be run: ${ended.code}`, { cause: ended.cause })
    return { exitCode: ended.exitCode, timedOut: ended.timedOut, output: await kept }
  }
}

async function keepBeginning(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const kept: Buffer[] = []
  let room = MAX_TASK_OUTPUT_BYTES
  try {
    for await (const chunk of stream) {
      const part = Buffer.from(chunk.subarray(0, room))
      room -= part.length
      if (part.length > 0) kept.push(part)
    }
  } catch {
    // the script was ended: what it had written counts
  }
  return Buffer.concat(kept).toString('utf8')
}

/** @throws {AppError} TASK_INVALID unless it belongs to root or to this process, and nobody else may write to it */
async function checkOwned(path: string, type: 'directory' | 'file'): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined || (type === 'file' ? !found.isFile() : !found.isDirectory())) throw new AppError('TASK_INVALID', `${path} is no ${type}`)
  if (found.uid !== 0 && found.uid !== process.getuid?.()) throw new AppError('TASK_INVALID', `${path} belongs to another user`)
  if ((found.mode & 0o022) !== 0) throw new AppError('TASK_INVALID', `others than its owner may write to ${path}`)
  if (type === 'file' && (found.mode & 0o100) === 0) throw new AppError('TASK_INVALID', `${path} is not executable`)
}
