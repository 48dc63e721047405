/**
 * The report of a verification as a file of JSON lines: a start mark, a line for each difference as it is found, an end mark with the totals.
 * A file without an end mark is not complete. It has no size limit; a disk that is full is an error, never a shorter report.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { display } from '../domain/rel-path.ts'
import type { Aspect, Difference, VerifyBy, VerifyProgress } from '../domain/verification.ts'
import { AppError, isAppError } from '../errors/app-error.ts'

export interface ReportStart { by: VerifyBy, repair: boolean, volumes: readonly { volume: number, path: string }[], startedAtUtc: string }
export interface ReportEnd extends VerifyProgress { status: 'complete' | 'failed', code?: string, message?: string, repaired: number, durationMs: number, endedAtUtc: string }

/** so much is written at once */
const CHUNK_BYTES = 256 * 1024

export class VerifyReport implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #path: string

  private constructor(file: FileHandle, path: string) {
    this.#file = file
    this.#path = path
  }

  /** Begins the report, in place of what is at path. @throws {AppError} REPORT_NOT_WRITTEN */
  static async begin(path: string, start: ReportStart): Promise<VerifyReport> {
    let file: FileHandle
    try {
      file = await open(path, 'w', 0o600)
    } catch (error) {
      throw notWritten(path, error)
    }
    const report = new VerifyReport(file, path)
    try {
      await report.#write([{ record: 'start', format: 'landfall-verification', version: 1, ...start }])
    } catch (error) {
      await file.close()
      throw error
    }
    return report
  }

  /** Differences of a round: 1 is what was found, 2 is what a repair has left. @throws {AppError} REPORT_NOT_WRITTEN */
  async differences(round: number, differences: readonly Difference[]): Promise<void> {
    await this.#write(differences.map(({ path, aspects, ...rest }) => {
      const bytes = Buffer.from(path, 'base64')
      return { record: 'difference', round, ...rest, path: display(bytes), pathBase64: path, aspects: aspects.map(shownAspect) }
    }))
  }

  /** Between the rounds: the mirror that repaired. @throws {AppError} REPORT_NOT_WRITTEN */
  async repair(figures: { filesDone: number, bytesSent: number, findings: number }): Promise<void> {
    await this.#write([{ record: 'repair', ...figures }])
  }

  /** Ends the report; it survives a power loss when this resolves. @throws {AppError} REPORT_NOT_WRITTEN */
  async end(end: ReportEnd): Promise<void> {
    await this.#write([{ record: 'end', ...end }])
    try {
      await this.#file.sync()
    } catch (error) {
      throw notWritten(this.#path, error)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  async #write(records: readonly object[]): Promise<void> {
    try {
      let lines = ''
      for (const record of records) {
        lines += `${JSON.stringify(record)}\n`
        if (lines.length < CHUNK_BYTES) continue
        await this.#file.writeFile(lines)
        lines = ''
      }
      if (lines !== '') await this.#file.writeFile(lines)
    } catch (error) {
      throw notWritten(this.#path, error)
    }
  }
}

/** Paths of links as people read them, and as they are. */
function shownAspect(aspect: Aspect): object {
  if (aspect.what !== 'links') return aspect
  const { source, replica } = aspect
  return {
    what: 'links', ...(source === undefined ? {} : { source: display(Buffer.from(source, 'base64')), sourceBase64: source }),
    ...(replica === undefined ? {} : { replica: display(Buffer.from(replica, 'base64')), replicaBase64: replica }),
  }
}

function notWritten(path: string, cause: unknown): AppError {
  if (isAppError(cause)) return cause
  return new AppError('REPORT_NOT_WRITTEN', `the report ${path} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
}
