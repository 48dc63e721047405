import { execa } from 'execa'
import { AppError } from '../errors/app-error.ts'
import type { Readable } from 'node:stream'
import type { Program, Runner, RunOptions, RunResult, Tool } from './runner.ts'
import { isAnswer, toolFailed } from './tool-failure.ts'

const BASE_ENV = { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
const MAX_OUTPUT = 8 << 20 // characters per stream
const KILL_AFTER_MS = 5000 // between SIGTERM and SIGKILL

/** The real Runner: no shell, no inherited environment, one deadline, bounded output; ends a tool together with what it started. */
export class ExecaRunner implements Runner {
  readonly #programs: Readonly<Partial<Record<Tool, string>>>

  /** @param programs absolute paths of tools that are not where the system keeps its own (the govc beside the service) */
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
    if (r.timedOut) throw new AppError('TOOL_TIMEOUT', `${tool} did not end within ${String(o.timeoutMs)} ms`, { cause: r.cause })
    if (r.isMaxBuffer) throw toolFailed(tool, `wrote more than ${String(MAX_OUTPUT)} characters`, '', r.cause)
    if (r.exitCode === undefined && r.code === 'ENOENT') throw new AppError('TOOL_MISSING', `${tool} is not installed`, { cause: r.cause })
    if (r.exitCode !== undefined && isAnswer(r.exitCode, o)) return { stdout, stderr, exitCode: r.exitCode, durationMs }
    const how = r.exitCode === undefined ? `ended by ${r.signal ?? r.code ?? 'an unknown cause'}` : `exited ${String(r.exitCode)}`
    throw toolFailed(tool, how, stderr, r.cause)
  }
}

/** Reads the stream; the answer tells the end of what has come so far. */
function endOf(stream: Readable, bytes: number): () => string {
  let end: Buffer = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => { end = Buffer.concat([end, chunk.subarray(-bytes)]).subarray(-bytes) })
  return () => end.toString()
}
