/** Runs a tool of the lab and answers its output; a failure shows the tool and the end of what it said. */
import { execa } from 'execa'

export interface ToolOptions { timeoutMs?: number, env?: Readonly<Record<string, string>>, input?: string, signal?: AbortSignal, allowedExitCodes?: readonly number[], cwd?: string }

export interface ToolResult { stdout: string, stderr: string, exitCode: number }

export class ToolFailed extends Error {
  override readonly name = 'ToolFailed'
}

/** @throws {ToolFailed} on any end but exit 0 or one of `allowedExitCodes` */
export async function tool(name: string, args: readonly string[], o: ToolOptions = {}): Promise<ToolResult> {
  const r = await execa(name, args, {
    reject: false, timeout: o.timeoutMs ?? 120_000, env: { LC_ALL: 'C', ...o.env }, maxBuffer: 64 << 20, killDescendants: true,
    ...(o.input === undefined ? { stdin: 'ignore' } : { input: o.input }), ...(o.signal === undefined ? {} : { cancelSignal: o.signal }), ...(o.cwd === undefined ? {} : { cwd: o.cwd }),
  })
  if (r.isCanceled) o.signal?.throwIfAborted()
  const { stdout, stderr } = r
  if (r.exitCode === 0 || (r.exitCode !== undefined && (o.allowedExitCodes ?? []).includes(r.exitCode))) return { stdout, stderr, exitCode: r.exitCode }
  const how = r.timedOut ? 'did not end in time' : r.exitCode === undefined ? `ended by ${r.signal ?? r.code ?? 'an unknown cause'}` : `exited ${String(r.exitCode)}`
  throw new ToolFailed(`${name} ${args.slice(0, 6).join(' ')} ${how}: ${stderr.trimEnd().slice(-2000)}`, { cause: r.cause })
}
