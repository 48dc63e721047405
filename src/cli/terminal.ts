/** Where a command writes and asks. Tests give one of their own. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { ReadStream, WriteStream } from 'node:tty'
import { AppError } from '../errors/app-error.ts'

export interface Terminal {
  /** standard output: results */
  out(text: string): void
  /** standard error: what people read beside the result */
  err(text: string): void
  /** standard output is a terminal */
  readonly outIsTty: boolean
  /** somebody can be asked */
  readonly canAsk: boolean
  readonly colours: boolean
  /** width of standard output in characters */
  columns(): number
  /** Asks for one line. @throws {AppError} REQUEST_INVALID when nobody is there or the input ends */
  ask(question: string, signal: AbortSignal): Promise<string>
  /** The same without echo. */
  askHidden(question: string, signal: AbortSignal): Promise<string>
}

export interface ProcessStreams {
  stdin: ReadStream | (NodeJS.ReadableStream & { isTTY?: boolean })
  stdout: WriteStream | (NodeJS.WritableStream & { isTTY?: boolean, columns?: number })
  stderr: WriteStream | (NodeJS.WritableStream & { isTTY?: boolean })
}

/**
 * The terminal of a process. Colours only on a terminal and without NO_COLOR (no-color.org). `interrupt` is called for Ctrl-C at a question,
 * where the terminal makes no signal of it.
 */
export function processTerminal({ stdin, stdout, stderr }: ProcessStreams, environment: Readonly<Record<string, string | undefined>>, interrupt: () => void): Terminal {
  const canAsk = stdin.isTTY === true && stderr.isTTY === true
  const question = async (text: string, echo: boolean, signal: AbortSignal): Promise<string> => {
    if (!canAsk) throw new AppError('REQUEST_INVALID', `cannot ask "${text.trim()}" without a terminal`)
    const output = new Writable({ write: (chunk: Buffer, _encoding, done) => { if (echo) stderr.write(chunk); done() } })
    const lines = createInterface({ input: stdin, output, terminal: true })
    stderr.write(text) // only now the terminal has stopped to echo
    const closed = new AbortController()
    lines.once('SIGINT', interrupt)
    lines.once('close', () => { closed.abort() })
    try {
      return await lines.question('', { signal: AbortSignal.any([signal, closed.signal]) })
    } catch (error) {
      signal.throwIfAborted()
      throw new AppError('REQUEST_INVALID', 'the input ended before an answer was given', { cause: error })
    } finally {
      lines.close()
      if (!echo) stderr.write('\n')
    }
  }
  return {
    out: text => { stdout.write(text) },
    err: text => { stderr.write(text) },
    outIsTty: stdout.isTTY === true,
    canAsk,
    colours: stdout.isTTY === true && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb',
    columns: () => ('columns' in stdout ? stdout.columns : undefined) ?? 80,
    ask: async (text, signal) => question(text, true, signal),
    askHidden: async (text, signal) => question(text, false, signal),
  }
}
