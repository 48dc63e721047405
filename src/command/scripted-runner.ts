/**
 * The Runner of tests: replays recorded runs. A recording is a folder `fixtures/command/<tool>/<case>/` with
 *   run.json   {"tool": "lsblk", "args": ["-J", "-b"], "exitCode": 0, "stdout": "stdout", "stderr": "stderr", "input": "…"}
 *   stdout, stderr   what the tool wrote; a stream without a file was empty
 * An argument "<any>" stands for whatever the caller passes there (a temporary path). `input`, when given, must be what the caller writes.
 * `"error": "TOOL_MISSING"` or `"TOOL_TIMEOUT"` replays those ends. `npx node test/record-command.ts <tool>/<case> -- ARGS…` makes one.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import type { Program, Runner, RunOptions, RunResult, Tool } from './runner.ts'
import { isAnswer, toolFailed } from './tool-failure.ts'

/** What stands in run.json; `tool` is checked by comparing it with a call. */
export const Recording = z.object({
  tool: z.string(), args: z.array(z.string()), exitCode: z.number().int().default(0),
  stdout: z.string().optional(), stderr: z.string().optional(), input: z.string().optional(),
  error: z.enum(['TOOL_MISSING', 'TOOL_TIMEOUT']).optional(),
})

/** One run to replay, with the text of its streams. */
export interface ScriptedRun {
  tool: Tool | (string & {})
  args: readonly string[]
  exitCode?: number
  stdout?: string
  stderr?: string
  input?: string | undefined
  error?: 'TOOL_MISSING' | 'TOOL_TIMEOUT' | undefined
}

/** A call that was made, in order; for assertions on what a wrapper started. */
export interface MadeCall { tool: Tool | Program, args: readonly string[], input?: string | undefined, env?: Readonly<Record<string, string>> | undefined }

/**
 * Replays runs by tool and arguments. When several match, they are used in their order and the last one again and again. A call that
 * matches none is a failure of the test: it throws a plain Error that names the call.
 */
export class ScriptedRunner implements Runner {
  readonly calls: MadeCall[] = []
  readonly #runs: readonly ScriptedRun[]
  readonly #used = new Set<ScriptedRun>()

  constructor(runs: readonly ScriptedRun[]) {
    this.#runs = runs
  }

  /** Reads the recordings `cases` ("lsblk/two-disks") below `root` (fixtures/command). */
  static async open(root: string, cases: readonly string[]): Promise<ScriptedRunner> {
    return new ScriptedRunner(await Promise.all(cases.map(async name => readRecording(join(root, name)))))
  }

  async run(tool: Tool | Program, args: readonly string[], o: RunOptions): Promise<RunResult> {
    o.signal.throwIfAborted()
    this.calls.push({ tool, args, input: o.input, env: o.env })
    const matching = this.#runs.filter(r => r.tool === tool && sameArgs(r.args, args) && (r.input === undefined || r.input === o.input))
    const run = matching.find(r => !this.#used.has(r)) ?? matching.at(-1)
    if (run === undefined) throw new Error(`no recorded run matches: ${tool} ${JSON.stringify(args)}${o.input === undefined ? '' : ` with input ${JSON.stringify(o.input)}`}`)
    this.#used.add(run)
    if (run.error === 'TOOL_MISSING') throw new AppError('TOOL_MISSING', `${tool} is not installed`)
    if (run.error === 'TOOL_TIMEOUT') throw new AppError('TOOL_TIMEOUT', `${tool} did not end within ${String(o.timeoutMs)} ms`)
    const exitCode = run.exitCode ?? 0
    const stderr = run.stderr ?? ''
    if (!isAnswer(exitCode, o)) throw toolFailed(tool, `exited ${String(exitCode)}`, stderr)
    return { stdout: run.stdout ?? '', stderr, exitCode, durationMs: 0 }
  }

  /** The recordings that no call has used: a test that lists more than it needs says something untrue. */
  unused(): readonly ScriptedRun[] {
    return this.#runs.filter(r => !this.#used.has(r))
  }
}

async function readRecording(folder: string): Promise<ScriptedRun> {
  const r = Recording.parse(JSON.parse(await readFile(join(folder, 'run.json'), 'utf8')))
  const text = async (file: string | undefined): Promise<string> => file === undefined ? '' : readFile(join(folder, file), 'utf8')
  return { ...r, stdout: await text(r.stdout), stderr: await text(r.stderr) }
}

function sameArgs(recorded: readonly string[], made: readonly string[]): boolean {
  return recorded.length === made.length && recorded.every((a, i) => a === '<any>' || a === made[i])
}
