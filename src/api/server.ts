/**
 * The management API over HTTPS. Promises: a request is checked by its schema and its token before anything is done, an answer is cut to its schema,
 * every change by a user, done or refused, is in the audit log, every error is a problem+json. It decides nothing: the endpoints ask the job engine and the stores.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { Socket } from 'node:net'
import express, { type Express, type Request, type RequestHandler, type Response } from 'express'
import type { Clock } from '../clock/clock.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { Logger } from '../logging/logger.ts'
import type { AccessStore } from '../server/server-store.ts'
import { authorise } from './access.ts'
import { auditor, type AuditedCall } from './audit.ts'
import { checkRequest } from './check-request.ts'
import type { Call, Endpoint } from './endpoint.ts'
import { writeEvents } from './events.ts'
import { FailureLimit } from './failure-limit.ts'
import { openApiDocument } from './openapi.ts'
import { problemWriter } from './problem.ts'

export interface ApiParts {
  endpoints: readonly Endpoint[]
  access: AccessStore
  clock: Pick<Clock, 'now'>
  log: Logger
  version: string
  tls: { keyPem: string, certificatePem: string }
  /** 0: any free port */
  address: string
  port: number
}

const BODY_LIMIT_BYTES = 256 * 1024
const HANDLE_MS = 120_000
const HEADERS_MS = 10_000
const REQUEST_MS = 30_000
const MAX_CONNECTIONS = 512
const MAX_STREAMS = 128

export class ApiServer implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #stop: AbortController

  private constructor(server: Server, port: number, stop: AbortController) {
    this.#server = server
    this.port = port
    this.#stop = stop
  }

  /** Listens when it resolves. @throws {AppError} PORT_UNAVAILABLE */
  static async open(parts: ApiParts): Promise<ApiServer> {
    const stop = new AbortController()
    const server = createServer({ key: parts.tls.keyPem, cert: parts.tls.certificatePem, minVersion: 'TLSv1.2' }, apiApplication(parts, stop.signal))
    server.headersTimeout = HEADERS_MS
    server.requestTimeout = REQUEST_MS
    server.maxConnections = MAX_CONNECTIONS
    // garbage on the port is no matter for an operator
    server.on('tlsClientError', (error, socket) => {
      parts.log.debug({ err: error }, 'client could not connect')
      socket.destroy()
    })
    server.on('clientError', (error: Error, socket: Socket) => {
      parts.log.debug({ err: error }, 'client sent no request')
      socket.destroy()
    })
    try {
      server.listen(parts.port, parts.address)
      await once(server, 'listening')
    } catch (error) {
      throw new AppError('PORT_UNAVAILABLE', `cannot listen on ${parts.address} port ${String(parts.port)} for the API: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
    const address = server.address()
    return new ApiServer(server, typeof address === 'object' && address !== null ? address.port : parts.port, stop)
  }

  /** Ends streams and running requests. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort(new DOMException('the appliance is shut down', 'AbortError'))
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}

/** The Express application, without a socket. */
function apiApplication(parts: ApiParts, stopped: AbortSignal): Express {
  const application = express()
  application.disable('x-powered-by')
  application.disable('etag')
  application.set('query parser', 'simple')
  const failures = new FailureLimit(parts.clock)
  const streams = { open: 0 }
  const document = openApiDocument(parts.endpoints.map(({ route }) => route), parts.version)
  application.get('/openapi.json', (_request, response) => { response.json(document) })
  const parseBody: RequestHandler = express.json({ limit: BODY_LIMIT_BYTES, strict: true })
  for (const endpoint of parts.endpoints) {
    const { route } = endpoint
    const audit = auditor(route, parts.log)
    application[route.method](route.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (request: Request, response: Response) => {
      const address = request.socket.remoteAddress ?? ''
      const asked: AuditedCall = { address, parameters: request.params }
      const gone = new AbortController()
      response.once('close', () => { gone.abort(new DOMException('the client is gone', 'AbortError')) })
      try {
        if (route.access === 'public') failures.check(address)
        else asked.caller = await authorise({ access: parts.access, clock: parts.clock, failures }, request.headers.authorization, route.access, address)
        if (route.body !== undefined) await readBody(parseBody, request, response)
        const call = callOf(endpoint, request, AbortSignal.any([stopped, gone.signal]))
        Object.assign(asked, { query: call.query, body: call.body }) // what fits no schema may be anything, a secret under another name, too
        await answer(endpoint, call, response, streams)
        audit(asked)
      } catch (error) {
        if (route.id === 'source.enrol' && isAppError(error) && error.code.startsWith('ENROLMENT_TOKEN')) failures.failed(address)
        audit(asked, error)
        if (!gone.signal.aborted) throw error
      }
    })
  }
  application.use((request: Request) => {
    throw new AppError('ROUTE_NOT_FOUND', `there is no ${request.method} ${request.path}`)
  })
  application.use(problemWriter(parts.log))
  return application
}

async function answer({ route, ...endpoint }: Endpoint, call: Call<unknown, unknown>, response: Response, streams: { open: number }): Promise<void> {
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  if (endpoint.stream !== undefined) {
    if (streams.open >= MAX_STREAMS) throw new AppError('RATE_LIMITED', 'too many clients are watching')
    streams.open++
    try {
      await writeEvents(response, endpoint.stream(call), call.signal)
    } finally {
      streams.open--
    }
    return
  }
  const inTime = { ...call, signal: AbortSignal.any([call.signal, AbortSignal.timeout(HANDLE_MS)]) }
  if (endpoint.file !== undefined && route.produces !== undefined) {
    response.status(route.status).type(route.produces).send(Buffer.from(await endpoint.file(inTime)))
    return
  }
  const value = await endpoint.answer?.(inTime)
  if (route.answer === undefined) response.status(route.status).end()
  else response.status(route.status).json(route.answer.parse(value))
}

function callOf({ route }: Endpoint, request: Request, signal: AbortSignal): Call<unknown, unknown> {
  return {
    parameter: name => {
      const value = request.params[name]
      if (typeof value !== 'string') throw new AppError('REQUEST_INVALID', `the path has no ${name}`)
      return value
    },
    body: route.body === undefined ? undefined : checkRequest(route.body, request.body, 'body'),
    query: route.query === undefined ? undefined : checkRequest(route.query, { ...request.query }, 'query'),
    header: name => {
      const value = request.headers[name]
      return typeof value === 'string' ? value : undefined
    },
    signal,
  }
}

async function readBody(parse: RequestHandler, request: Request, response: Response): Promise<void> {
  if (request.is('application/json') === false) throw new AppError('REQUEST_INVALID', 'the body must be JSON with Content-Type: application/json')
  await new Promise<void>((resolve, reject) => {
    parse(request, response, (error?: unknown) => {
      if (error === undefined) resolve()
      else reject(error instanceof Error ? error : new Error('the body cannot be read', { cause: error }))
    })
  })
}
