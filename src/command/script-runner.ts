/** Runs a script that the administrator of this machine has put into a directory of theirs. Never a shell, never a path from outside. */

export interface ScriptResult {
  /** undefined: a signal ended it */
  exitCode: number | undefined
  timedOut: boolean
  /** what it wrote to standard output and standard error, as it came; cut at the limit */
  output: string
}

export interface ScriptRunner {
  /**
   * Resolves when the script and what it started have ended. After `timeoutMs` both are ended. An abort ends them, too, and rejects.
   * @throws {AppError} TASK_INVALID when the directory or the script are not there, or others than the administrator may change them
   */
  run(script: string, args: readonly string[], options: { timeoutMs: number, signal: AbortSignal }): Promise<ScriptResult>
}
