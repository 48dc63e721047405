import axios, { type AxiosInstance, type AxiosResponse } from 'axios'
import { createClientAsync, type Client, type IOptions } from 'soap'
import { z } from 'zod'
import { AppError, isAppError } from '../errors/app-error.ts'
import { hypervisorLog } from '../logging/logger.ts'
import { VerifyingAgent, type TlsTarget } from './vsphere-certificate.ts'
import { faultError, faultOfMethodFault, faultOfSoapError, VimFault } from './vsphere-faults.ts'
import { isRecord, norm, Ref, ref, request, type VimValue } from './vsphere-object.ts'
import type { OperationName } from './vsphere-types.ts'
import { vsphereWsdl } from './vsphere-wsdl.ts'

/** Where to log in and as whom. */
export interface VsphereAddress extends TlsTarget { readonly user: string, readonly password: string }

/** How one call is made: `doing` completes "cannot …" in an error. */
export interface CallOptions { readonly signal: AbortSignal, readonly doing: string, readonly timeoutMs?: number }

const ServiceContent = z.object({
  rootFolder: Ref, propertyCollector: Ref, viewManager: Ref, sessionManager: Ref, fileManager: Ref, virtualDiskManager: Ref,
  about: z.object({ fullName: z.string(), apiVersion: z.string(), apiType: z.string() }),
})
type ServiceContent = z.infer<typeof ServiceContent>

type SoapMethod = (args: Record<string, unknown>, options: Record<string, unknown>, headers: Record<string, string>) => Promise<readonly unknown[]>

const CALL_TIMEOUT_MS = 60_000
const GOODBYE_TIMEOUT_MS = 5000
const COOKIE = 'vmware_soap_session='
const MAX_ANSWER = 256 << 20 // bytes

/**
 * One login on a VMware server, over a connection whose certificate was checked first. Logs in again once when the server has ended the
 * session; what belonged to the old one (views, collectors) is gone then, which `logins` tells. Neither an error nor its causes hold an
 * envelope or the password.
 */
export class VsphereSession implements AsyncDisposable {
  readonly content: ServiceContent
  readonly #address: VsphereAddress
  readonly #client: Client
  readonly #agent: VerifyingAgent
  readonly #cookie: { value: string }
  #logins = 0
  #loggingIn: Promise<void> | undefined
  #closed = false

  private constructor(address: VsphereAddress, client: Client, agent: VerifyingAgent, cookie: { value: string }, content: ServiceContent) {
    this.#address = address
    this.#client = client
    this.#agent = agent
    this.#cookie = cookie
    this.content = content
  }

  /**
   * Connects, checks the certificate, logs in.
   * @throws {AppError} VSPHERE_UNREACHABLE, CERTIFICATE_UNTRUSTED, CERTIFICATE_CHANGED, VSPHERE_LOGIN, VSPHERE_TIMEOUT
   */
  static async open(address: VsphereAddress, signal: AbortSignal): Promise<VsphereSession> {
    signal.throwIfAborted()
    const agent = new VerifyingAgent(address)
    try {
      const cookie = { value: '' }
      const http: unknown = makeHttp(agent, cookie)
      if (!isSoapHttp(http)) throw new Error('axios made no instance')
      const host = address.host.includes(':') ? `[${address.host}]` : address.host
      const client = await createClientAsync(vsphereWsdl(), { endpoint: `https://${host}:${String(address.port)}/sdk`, request: http, disableCache: true })
      const where = { signal, doing: `connect to the VMware server ${address.host}` }
      const answer = await invoke(client, address, cookie, 'RetrieveServiceContent', request('RetrieveServiceContent', ref('ServiceInstance', 'ServiceInstance'), {}), where)
      const content = ServiceContent.safeParse(answer)
      if (!content.success) throw new AppError('VSPHERE_UNREACHABLE', `${address.host}:${String(address.port)} is no VMware server that we know`, { cause: content.error })
      const session = new VsphereSession(address, client, agent, cookie, content.data)
      await session.#login(signal)
      return session
    } catch (error) {
      agent.destroy()
      throw error
    }
  }

  /** How often this session has logged in; another number than before = views and collectors of before are gone. */
  get logins(): number { return this.#logins }

  /** The server spoken to, for what it offers beside the API and gives to the same cookie. */
  get site(): { readonly url: string, readonly cookie: string, readonly agent: VerifyingAgent } {
    const host = this.#address.host.includes(':') ? `[${this.#address.host}]` : this.#address.host
    return { url: `https://${host}:${String(this.#address.port)}`, cookie: this.#cookie.value, agent: this.#agent }
  }

  /** Makes one call and answers with its normalised return value (undefined when it has none). */
  async call(operation: OperationName, self: Ref, fields: Readonly<Record<string, VimValue>>, options: CallOptions): Promise<unknown> {
    const args = request(operation, self, fields)
    const before = this.#logins
    try {
      return await this.#once(operation, args, options)
    } catch (error) {
      if (!(isAppError(error) && error.cause instanceof VimFault && error.cause.fault === 'NotAuthenticated')) throw error
      if (this.#logins === before) await this.#loginTogether()
      return await this.#once(operation, args, options)
    }
  }

  /** Logs out, so that no session is left to count against the account's limit, and closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const signal = AbortSignal.timeout(GOODBYE_TIMEOUT_MS)
    await this.#once('Logout', request('Logout', this.content.sessionManager, {}), { signal, doing: 'log out' }).catch((error: unknown) => {
      // The server ends the session by itself after a while.
      if (!isAppError(error) && !signal.aborted) throw error
    })
    this.#agent.destroy()
  }

  async #once(operation: OperationName, args: Record<string, unknown>, options: CallOptions): Promise<unknown> {
    const answer = await invoke(this.#client, this.#address, this.#cookie, operation, args, options)
    // Without a session the server refuses no read of properties, but says for each that it was not read.
    if (operation === 'RetrievePropertiesEx' && unauthenticated(answer)) throw faultError(new VimFault('NotAuthenticated', ''), options.doing)
    return answer
  }

  /** One login for all calls that met the end of the session at the same time. */
  async #loginTogether(): Promise<void> {
    this.#loggingIn ??= this.#login(AbortSignal.timeout(CALL_TIMEOUT_MS)).finally(() => { this.#loggingIn = undefined })
    await this.#loggingIn
    hypervisorLog.debug({ host: this.#address.host }, 'the VMware server had ended the session, logged in again')
  }

  async #login(signal: AbortSignal): Promise<void> {
    // A login that brings the cookie of a session along is refused as a wrong password.
    this.#cookie.value = ''
    const { user, password, host } = this.#address
    await this.#once('Login', request('Login', this.content.sessionManager, { userName: user, password }), { signal, doing: `log in to ${host} as ${user}` })
    this.#logins += 1
  }
}

async function invoke(
  client: Client, address: VsphereAddress, cookie: { readonly value: string }, operation: OperationName, args: Record<string, unknown>, options: CallOptions,
): Promise<unknown> {
  options.signal.throwIfAborted()
  const timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS
  const method: unknown = client[`${operation}Async`]
  if (typeof method !== 'function') throw new Error(`the WSDL has no operation ${operation}`)
  const deadline = AbortSignal.timeout(timeoutMs)
  const headers: Record<string, string> = cookie.value === '' ? {} : { Cookie: cookie.value }
  let answer: readonly unknown[]
  try {
    answer = await (method as SoapMethod).call(client, args, { signal: AbortSignal.any([options.signal, deadline]) }, headers)
  } catch (error) {
    options.signal.throwIfAborted()
    if (deadline.aborted) throw new AppError('VSPHERE_TIMEOUT', `cannot ${options.doing}: ${address.host} did not answer within ${String(timeoutMs)} ms`)
    throw translate(error, address, options.doing)
  } finally {
    // node-soap keeps the last envelope, and that of a login holds the password.
    delete client.lastRequest
    delete client.lastMessage
  }
  const [result, envelope] = answer
  // An empty body with status 200 counts as success for node-soap.
  if (typeof envelope !== 'string' || !new RegExp(`<(\\w+:)?${operation}Response[\\s/>]`).test(envelope)) {
    throw new AppError('VSPHERE_UNREACHABLE', `cannot ${options.doing}: ${address.host} sent no answer of the vSphere API`)
  }
  // node-soap makes null of an element without content: a result in which nothing was found.
  return norm(isRecord(result) ? result['returnval'] : undefined) ?? undefined
}

/** Our error for anything that node-soap or axios throws; nothing of theirs travels on, because it holds the whole request. */
function translate(error: unknown, address: VsphereAddress, doing: string): AppError {
  if (isAppError(error)) return error
  const fault = faultOfSoapError(error)
  if (fault !== undefined) return faultError(fault, doing)
  const certificate = causes(error).find(cause => isAppError(cause))
  if (certificate !== undefined) return certificate
  const said = error instanceof Error ? error.message : 'an answer that cannot be read'
  const text = address.password === '' ? said : said.replaceAll(address.password, '[secret]')
  const status = statusOf(error)
  const why = status === undefined ? text : `it answered with HTTP status ${String(status)}`
  return new AppError('VSPHERE_UNREACHABLE', `cannot ${doing}: no answer of the vSphere API from ${address.host}:${String(address.port)} (${why})`, { cause: new Error(text) })
}

function causes(error: unknown): unknown[] {
  const found: unknown[] = []
  for (let at = error; at instanceof Error && found.length < 5; at = at.cause) found.push(at)
  return found
}

function statusOf(error: unknown): number | undefined {
  const response = error instanceof Error && 'response' in error ? error.response : undefined
  const status = isRecord(response) ? response['status'] : undefined
  return typeof status === 'number' && status >= 300 ? status : undefined
}

function makeHttp(agent: VerifyingAgent, cookie: { value: string }): AxiosInstance {
  const http = axios.create({ httpsAgent: agent, proxy: false, maxRedirects: 0, maxContentLength: MAX_ANSWER, maxBodyLength: Infinity })
  http.interceptors.response.use(response => { keepCookie(response, cookie); return response })
  return http
}

/** node-soap's types name axios by its CommonJS declarations, which TypeScript holds for another type than ours. */
function isSoapHttp(value: unknown): value is NonNullable<IOptions['request']> {
  return typeof value === 'function'
}

function keepCookie(response: AxiosResponse, cookie: { value: string }): void {
  const set = response.headers['set-cookie']
  // vCenter's value stands in quotes, which belong to it.
  const ours = Array.isArray(set) ? set.find(c => c.startsWith(COOKIE)) : undefined
  if (ours !== undefined) cookie.value = ours.split(';')[0] ?? ''
}

function unauthenticated(answer: unknown): boolean {
  const objects = isRecord(answer) && Array.isArray(answer['objects']) ? answer['objects'] : []
  return objects.some(o => isRecord(o) && Array.isArray(o['missingSet'])
    && o['missingSet'].some(m => isRecord(m) && faultOfMethodFault(m['fault']).fault === 'NotAuthenticated'))
}

