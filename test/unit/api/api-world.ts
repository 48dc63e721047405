/** The API over real HTTPS on a free port, in front of the engine and seams of the scenarios. */
import { once } from 'node:events'
import { request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { pino } from 'pino'
import { z } from 'zod'
import { enrolmentEndpoints } from '../../../src/api/enrolments.ts'
import { healthEndpoints } from '../../../src/api/health.ts'
import { jobEndpoints } from '../../../src/api/jobs.ts'
import { ApiServer } from '../../../src/api/server.ts'
import { sourceEndpoints } from '../../../src/api/sources.ts'
import { targetEndpoints } from '../../../src/api/targets.ts'
import type { Endpoint } from '../../../src/api/endpoint.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { SecretBox } from '../../../src/server/secret-box.ts'
import type { Role } from '../../../src/server/server-store.ts'
import { SqliteServerStore } from '../../../src/server/sqlite-server-store.ts'
import { makeToken } from '../../../src/server/token.ts'
import { openCertificateAuthority, type CertificateAuthority } from '../../../src/trust/certificate-authority.ts'
import { World } from '../../scenario/world.ts'

export const THUMBPRINT = 'AA:BB'

export interface Answer { status: number, headers: IncomingMessage['headers'], text: string, json: unknown }

export class ApiWorld implements AsyncDisposable {
  readonly world = new World()
  readonly servers: SqliteServerStore
  readonly authority: CertificateAuthority
  readonly lines: string[] = []
  readonly #stack: AsyncDisposableStack
  #api: ApiServer | undefined
  token = ''

  private constructor(servers: SqliteServerStore, authority: CertificateAuthority, stack: AsyncDisposableStack) {
    this.servers = servers
    this.authority = authority
    this.#stack = stack
  }

  static async open(directory: string, extra: readonly Endpoint[] = []): Promise<ApiWorld> {
    await using stack = new AsyncDisposableStack()
    const servers = stack.use(await SqliteServerStore.open(':memory:', await SecretBox.open(join(directory, 'key'))))
    const authority = await openCertificateAuthority(join(directory, 'ca'), Date.now())
    const opened = new ApiWorld(servers, authority, stack.move())
    await opened.#start(extra)
    return opened
  }

  get port(): number {
    return this.#api?.port ?? 0
  }

  /** A new API token. */
  async tokenFor(role: Role, expiresAtMs?: number): Promise<string> {
    const { token, tokenId, hash } = makeToken()
    await this.servers.access.put({ tokenId, hash, name: `${role} of the test`, role, expiresAtMs })
    return token
  }

  /** Registers the source of the world and a VMware server, as 'shop' and 'lab'. */
  async register(): Promise<void> {
    await this.servers.sources.insert({ version: 1, id: this.world.source.id, name: 'shop', status: 'disconnected', createdAtUtc: '2026-01-01T00:00:00.000Z' })
    await this.servers.vmware.insert({ version: 1, id: 'vmware-1', name: 'lab', host: 'esx', port: 443, user: 'u', thumbprint: '', product: 'p', apiVersion: '8', createdAtUtc: '' }, 'x')
  }

  async call(method: string, path: string, options: { body?: unknown, raw?: string, headers?: Record<string, string>, token?: string | null } = {}): Promise<Answer> {
    const answer = await this.open(method, path, options)
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    return { status: answer.statusCode ?? 0, headers: answer.headers, text, json: text === '' ? undefined : JSON.parse(text) as unknown }
  }

  /** The answer while it still arrives. */
  async open(method: string, path: string, options: { body?: unknown, raw?: string, headers?: Record<string, string>, token?: string | null } = {}): Promise<IncomingMessage> {
    const payload = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
    const token = options.token === undefined ? this.token : options.token
    const sent = request({
      host: '127.0.0.1', port: this.port, method, path, ca: this.authority.certificatePem, agent: false,
      headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...(payload === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers },
    })
    sent.end(payload)
    const [answer] = await once(sent, 'response') as [IncomingMessage]
    return answer
  }

  /** Code of a problem. */
  async refusal(method: string, path: string, options: Parameters<ApiWorld['call']>[2] = {}): Promise<string> {
    const answer = await this.call(method, path, options)
    return z.object({ code: z.string() }).parse(answer.json).code
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#api?.[Symbol.asyncDispose]()
    await this.world[Symbol.asyncDispose]()
    await this.#stack.disposeAsync()
  }

  async #start(extra: readonly Endpoint[]): Promise<void> {
    const { servers, authority, world } = this
    const engine = await world.start()
    const clock = { now: () => Date.now() }
    this.#api = await ApiServer.open({
      endpoints: [...apiEndpoints(this, engine, clock), ...extra],
      access: servers.access, clock, version: '0.0.0', tls: await authority.issueServer(['127.0.0.1']), address: '127.0.0.1', port: 0,
      log: pino({ level: 'debug' }, { write: (line: string) => { this.lines.push(line) } }),
    })
    this.token = await this.tokenFor('admin')
  }
}

export function apiEndpoints({ servers, authority, world }: Pick<ApiWorld, 'servers' | 'authority' | 'world'>, engine: Awaited<ReturnType<World['start']>>, clock: { now: () => number }): Endpoint[] {
  const connected = world.source
  return [
    ...healthEndpoints({ version: '0.0.0', startedAtUtc: '2026-01-01T00:00:00.000Z' }),
    ...enrolmentEndpoints({ sources: servers.sources, clock, authority, replicationPort: () => 1500 }),
    ...sourceEndpoints({ engine, sources: servers.sources, connected, clock, caSha256: authority.sha256, publicAddress: () => 'appliance:6325' }),
    ...targetEndpoints({
      engine, vmware: servers.vmware, clock, openHypervisor: async () => world.hypervisor, closeHypervisor: async () => { await Promise.resolve() },
      probeVmware: async server => {
        if (server.acceptThumbprint !== THUMBPRINT) throw new AppError('CERTIFICATE_UNTRUSTED', `SHA-256 thumbprint ${THUMBPRINT}`)
        if (server.password !== 'right') throw new AppError('VSPHERE_LOGIN', 'the login was refused')
        return { thumbprint: THUMBPRINT, product: 'VMware ESXi 8.0', apiVersion: '8.0.2.0' }
      },
    }),
    ...jobEndpoints({ engine, sources: servers.sources, vmware: servers.vmware, passphrases: servers.passphrases, connected }),
  ]
}
