/** For the tests of the command line: an HTTPS server that answers as told, and a terminal and surroundings in memory. */
import { createServer } from 'node:https'
import { join } from 'node:path'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Surroundings } from '../../../src/cli/command.ts'
import { main } from '../../../src/cli/main.ts'
import type { Terminal } from '../../../src/cli/terminal.ts'
import { CODES, type ErrorCode } from '../../../src/errors/codes.ts'
import { openCertificateAuthority } from '../../../src/trust/certificate-authority.ts'

export interface SeenRequest { method: string, path: string, body: unknown, authorization: string | undefined, headers: IncomingMessage['headers'] }
export type Answer = { status: number, body?: unknown } | ((response: ServerResponse, request: SeenRequest) => void)

export interface FakeAppliance extends AsyncDisposable {
  url: string
  /** file of its CA, and the fingerprint */
  caFile: string
  sha256: string
  seen: SeenRequest[]
  /** what "GET /jobs" and so on are answered with; several are used in turn, the last one again and again */
  on(route: string, ...answers: Answer[]): void
}

export async function startAppliance(directory: string, names: readonly string[] = ['localhost', '127.0.0.1']): Promise<FakeAppliance> {
  const authority = await openCertificateAuthority(directory, Date.now())
  const { keyPem, certificatePem } = await authority.issueServer(names)
  const routes = new Map<string, Answer[]>()
  const seen: SeenRequest[] = []
  const server = createServer({ key: keyPem, cert: certificatePem }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => { chunks.push(chunk) })
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const call: SeenRequest = {
        method: request.method ?? '', path: request.url ?? '', body: text === '' ? undefined : JSON.parse(text) as unknown,
        authorization: request.headers.authorization, headers: request.headers,
      }
      seen.push(call)
      const answers = routes.get(`${call.method} ${call.path}`) ?? []
      const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? problem('ROUTE_NOT_FOUND', `no answer for ${call.method} ${call.path}`)
      if (typeof answer === 'function') answer(response, call)
      else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body === undefined ? '' : JSON.stringify(answer.body))
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `https://localhost:${String(address.port)}`, caFile: join(directory, 'ca.crt'), sha256: authority.sha256, seen,
    on: (route, ...answers) => { routes.set(route, answers) },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>(resolve => { server.close(() => { resolve() }) })
    },
  }
}

/** An error as the appliance answers it. */
export function problem(code: ErrorCode, detail: string): { status: number, body: unknown } {
  const { httpStatus, operator, retryable } = CODES[code]
  return { status: httpStatus, body: { type: `urn:landfall:error:${code}`, title: code, status: httpStatus, detail, code, operator, retryable } }
}

/** A stream of events that ends after them, or stays open. */
export function eventStream(events: readonly { event: string, data: unknown, id?: number }[], stayOpen = false): Answer {
  return response => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const { event, data, id } of events) response.write(`${id === undefined ? '' : `id: ${String(id)}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    if (!stayOpen) response.end()
  }
}

export interface RunResult { code: number, out: string, err: string, asked: string[] }

export interface RunOptions {
  environment?: Record<string, string>
  /** answers to questions; without any nobody can be asked */
  answers?: readonly string[]
  tty?: boolean
  columns?: number
  signal?: AbortSignal
}

/** Runs one command line against the appliance; time passes only by sleeping. */
export async function run(appliance: FakeAppliance | undefined, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { terminal, ...said } = memoryTerminal(options)
  let nowMs = Date.parse('2026-01-02T03:04:05Z')
  const surroundings: Surroundings = {
    terminal, signal: options.signal ?? AbortSignal.timeout(20_000), now: () => nowMs,
    sleep: async (ms, signal) => {
      signal.throwIfAborted()
      nowMs += ms
    },
    environment: appliance === undefined ? { ...options.environment } : { LANDFALL_URL: appliance.url, LANDFALL_CA: appliance.caFile, LANDFALL_TOKEN: 'token-of-the-test', ...options.environment },
  }
  const code = await main(args, surroundings)
  return { code, out: said.out.join(''), err: said.err.join(''), asked: said.asked }
}

export function memoryTerminal({ answers, tty = false, columns = 80 }: RunOptions = {}): { terminal: Terminal, out: string[], err: string[], asked: string[] } {
  const out: string[] = []
  const err: string[] = []
  const asked: string[] = []
  const waiting = [...answers ?? []]
  const ask = async (question: string): Promise<string> => {
    asked.push(question)
    const answer = waiting.shift()
    if (answer === undefined) throw new Error(`no answer for: ${question}`)
    return answer
  }
  return {
    out, err, asked,
    terminal: { out: text => { out.push(text) }, err: text => { err.push(text) }, outIsTty: tty, canAsk: answers !== undefined, colours: false, columns: () => columns, ask, askHidden: ask },
  }
}
