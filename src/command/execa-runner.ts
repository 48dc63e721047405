import { execa } from 'execa'
import { AppError } from '../errors/app-error.ts'
import type { Runner, RunOptions, RunResult, Tool } from './runner.ts'
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

  async run(tool: Tool, args: readonly string[], o: RunOptions): Promise<RunResult> {
    o.signal.throwIfAborted()
    const r = await execa(this.#programs[tool] ?? tool, args, {
      reject: false, cancelSignal: o.signal, timeout: o.timeoutMs, forceKillAfterDelay: KILL_AFTER_MS, killDescendants: true,
      extendEnv: false, env: { ...BASE_ENV, ...o.env }, input: o.input ?? '',
      maxBuffer: MAX_OUTPUT, stripFinalNewline: false,
    })
    const { stdout, stderr, durationMs } = r
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
