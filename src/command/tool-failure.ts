import { AppError } from '../errors/app-error.ts'
import type { Program, RunOptions, Tool } from './runner.ts'

const OUTPUT_TAIL = 2048 // characters kept in an error

/** Whether this exit code is an answer of the tool (0, or one the caller allowed) and not a failure. */
export function isAnswer(exitCode: number | undefined, options: Pick<RunOptions, 'allowedExitCodes'>): boolean {
  return exitCode === 0 || (exitCode !== undefined && (options.allowedExitCodes ?? []).includes(exitCode))
}

/** TOOL_FAILED for a tool that ended badly; the message holds how it ended and the end of what it wrote. */
export function toolFailed(tool: Tool | Program, how: string, output: string, cause?: unknown): AppError<'TOOL_FAILED'> {
  return new AppError('TOOL_FAILED', withOutput(`${tool} ${how}`, output), { cause })
}

/** The text with the end of what a tool wrote. */
export function withOutput(text: string, output: string): string {
  const said = output.trimEnd().slice(-OUTPUT_TAIL)
  return said === '' ? text : `${text}: ${said}`
}
