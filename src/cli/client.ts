/** HTTPS to the appliance's API: schema-checked answers, problems as AppErrors, deadlines. */
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import type { z } from 'zod'
import { Problem } from '../domain/server.ts'
import { AppError } from '../errors/app-error.ts'
import { CODES, type ErrorCode } from '../errors/codes.ts'
import type { Settings } from './settings.ts'

export interface CallOptions {
  body?: unknown
  signal: AbortSignal
  /** for answers that wait for another machine */
  timeoutMs?: number
}

const TIMEOUT_MS = 60_000
const CONNECT_TIMEOUT_MS = 15_000
/** the appliance sends a sign of life every 15 seconds */
const SILENCE_TIMEOUT_MS = 50_000
const MAX_ANSWER_BYTES = 64 << 20

/** Errors of TLS that say: somebody answers, but not whom we trust. */
const UNTRUSTED = /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/

export class Client {
  readonly #settings: Settings
  readonly #agent: Agent

  constructor(settings: Settings) {
    this.#settings = settings
    this.#agent = new Agent({ keepAlive: true, minVersion: 'TLSv1.2', ...(settings.ca === undefined ? {} : { ca: settings.ca }) })
  }

  /** @throws {AppError} the code of the appliance's problem; LINK_REFUSED, APPLIANCE_UNTRUSTED, ANSWER_INVALID */
  async get<T>(path: string, schema: z.ZodType<T>, options: CallOptions): Promise<T> {
    return this.#call('GET', path, schema, options)
  }

  async post<T>(path: string, schema: z.ZodType<T>, options: CallOptions): Promise<T> {
    return this.#call('POST', path, schema, options)
  }

  async patch<T>(path: string, schema: z.ZodType<T>, options: CallOptions): Promise<T> {
    return this.#call('PATCH', path, schema, options)
  }

  async delete(path: string, options: CallOptions): Promise<void> {
    await this.#exchange('DELETE', path, options)
  }

  /** The bytes of an answer that is no JSON. @throws {AppError} as get */
  async download(path: string, type: string, options: CallOptions): Promise<Buffer> {
    return await this.#exchange('GET', path, options, type)
  }

  /** Opens a stream of server-sent events; the caller reads the chunks to their end or aborts. */
  async stream(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const silent = new AbortController()
    const late = setTimeout(() => { silent.abort(networkError('no answer')) }, TIMEOUT_MS)
    try {
      const answer = await this.#send('GET', path, { signal: AbortSignal.any([signal, silent.signal]) }, { accept: 'text/event-stream', ...headers })
      if (answer.statusCode !== 200) throw problemError(answer.statusCode ?? 0, await readAll(answer))
      answer.setTimeout(SILENCE_TIMEOUT_MS, () => { answer.destroy(networkError('no sign of life')) })
      return answer
    } catch (error) {
      signal.throwIfAborted()
      throw this.#wrap(error)
    } finally {
      clearTimeout(late)
    }
  }

  /** Ends idle connections. */
  close(): void {
    this.#agent.destroy()
  }

  async #call<T>(method: string, path: string, schema: z.ZodType<T>, options: CallOptions): Promise<T> {
    const answer = await this.#exchange(method, path, options)
    try {
      return schema.parse(JSON.parse(answer.toString('utf8')))
    } catch (error) {
      throw new AppError('ANSWER_INVALID', `${method} ${path} was answered in a form that is not known`, { cause: error })
    }
  }

  async #exchange(method: string, path: string, options: CallOptions, type = 'application/json'): Promise<Buffer> {
    const deadline = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS)
    const signal = AbortSignal.any([options.signal, deadline])
    try {
      const answer = await this.#send(method, path, { ...options, signal }, { accept: type })
      const body = await readAll(answer)
      const status = answer.statusCode ?? 0
      if (status < 200 || status > 299) throw problemError(status, body)
      return body
    } catch (error) {
      options.signal.throwIfAborted()
      if (deadline.aborted) throw new AppError('LINK_REFUSED', `${this.#settings.url.origin} did not answer within ${String((options.timeoutMs ?? TIMEOUT_MS) / 1000)} seconds`, { cause: error })
      throw this.#wrap(error)
    }
  }

  async #send(method: string, path: string, options: CallOptions, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    const { token, url } = this.#settings
    options.signal.throwIfAborted()
    const body = options.body === undefined ? undefined : JSON.stringify(options.body)
    const base = url.pathname.replace(/\/$/, '')
    try {
      return await new Promise((resolve, reject) => {
        const outgoing = request({
          method, agent: this.#agent, hostname: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 443 : Number(url.port), path: base + path, signal: options.signal,
          headers: {
            ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers,
          },
        }, resolve)
        outgoing.once('error', reject)
        outgoing.once('socket', socket => {
          if (!socket.connecting) return
          const late = setTimeout(() => { outgoing.destroy(networkError('no answer to the connection')) }, CONNECT_TIMEOUT_MS)
          socket.once('secureConnect', () => { clearTimeout(late) })
          outgoing.once('close', () => { clearTimeout(late) })
        })
        outgoing.end(body)
      })
    } catch (error) {
      options.signal.throwIfAborted()
      throw this.#wrap(error)
    }
  }

  #wrap(error: unknown): unknown {
    if (error instanceof AppError || !(error instanceof Error)) return error
    const { origin } = this.#settings.url
    const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
    if (UNTRUSTED.test(code)) return new AppError('APPLIANCE_UNTRUSTED', `the certificate of ${origin} is not trusted: ${error.message}`, { cause: error })
    if (code === '') return error
    return new AppError('LINK_REFUSED', `cannot reach ${origin}: ${error.message || code}`, { cause: error })
  }
}

/** A step of a path from a name. */
export function step(name: string): string {
  return encodeURIComponent(name)
}

/** An error as the network makes them, so that it is treated as one. */
function networkError(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' })
}

async function readAll(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer.iterator({ destroyOnReturn: true }) as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new AppError('ANSWER_INVALID', `the answer is longer than ${String(MAX_ANSWER_BYTES)} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The problem of the appliance is the cause, so that it can be printed as it came. */
function problemError(status: number, body: Buffer): AppError {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    value = undefined // not from our appliance: the status is all there is
  }
  const problem = Problem.safeParse(value)
  if (!problem.success) return new AppError('ANSWER_INVALID', `the server answered ${String(status)} without saying why`)
  const { code, detail } = problem.data
  return new AppError(isCode(code) ? code : 'INTERNAL', detail, { cause: problem.data })
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(CODES, code)
}
