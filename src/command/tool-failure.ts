import { AppError } from '../errors/app-error.ts'
import type { Program, RunOptions, Tool } from './runner.ts'

const STDERR_TAIL = 2048 // characters kept in an error

/** Whether this exit code is an answer of the tool (0, or one the caller allowed) and not a failure. */
export function isAnswer(exitCode: number | undefined, options: Pick<RunOptions, 'allowedExitCodes'>): boolean {
  return exitCode === 0 || (exitCode !== undefined && (options.allowedExitCodes ?? []).includes(exitCode))
}

/** TOOL_FAILED for a tool that ended badly; the message holds how it ended and the end of its standard error. */
export function toolFailed(tool: Tool | Program, how: string, stderr: string, cause?: unknown): AppError<'TOOL_FAILED'> {
  const said = stderr.trimEnd().slice(-STDERR_TAIL)
  return new AppError('TOOL_FAILED', said === '' ? `${tool} ${how}` : `${tool} ${how}: ${said}`, { cause })
}
