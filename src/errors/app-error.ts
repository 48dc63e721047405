import type { ErrorCode } from './codes.ts'

/**
 * The one error the product throws on purpose. `code` is stable and documented in `codes.ts`, which also says the HTTP status,
 * the exit code and whether a retry can help. `message` says what was attempted on what, in words for an operator, without secrets.
 */
export class AppError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'AppError'
  readonly code: Code

  /** @param options.cause the original failure, kept for the log */
  constructor(code: Code, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
  }
}

/** Whether `error` is an AppError, of `code` when one is given. */
export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code)
}
