/** Gets this agent its certificate: one call to the appliance's API, which is known by the hash of its authority alone. */
import { request } from 'node:http'
import { X509Certificate } from 'node:crypto'
import { hostname } from 'node:os'
import type { TLSSocket } from 'node:tls'
import { Enrol, Enrolled, Problem } from '../domain/server.ts'
import { AppError } from '../errors/app-error.ts'
import { CODES, type ErrorCode } from '../errors/codes.ts'
import { caSha256, makeKeyAndCsr } from '../trust/key.ts'
import { connectPinned } from '../trust/peer-tls.ts'
import { PROTOCOL_VERSION } from '../wire/messages.ts'
import { storeIdentity, type AgentIdentity } from './identity.ts'

export interface EnrolOptions {
  /** host and API port of the appliance */
  host: string
  port: number
  /** SHA-256 of the authority's certificate, hex, with or without colons */
  caSha256: string
  /** one-time token */
  token: string
  agentVersion: string
  stateDirectory: string
}

const CALL_MS = 30_000
const MAX_ANSWER_BYTES = 256 * 1024

/**
 * Enrols and stores key, certificate and authority; what was stored before is replaced only when all went well.
 * @throws {AppError} PEER_UNTRUSTED when the appliance is another one, LINK_REFUSED, REQUEST_INVALID, and what the appliance answers:
 * ENROLMENT_TOKEN_INVALID, ENROLMENT_TOKEN_USED, ENROLMENT_TOKEN_EXPIRED, PROTOCOL_VERSION
 */
export async function enrol(options: EnrolOptions, signal: AbortSignal): Promise<AgentIdentity> {
  const { host, port, token, agentVersion, stateDirectory } = options
  if (!/^([0-9a-f]{2}:?){31}[0-9a-f]{2}$/i.test(options.caSha256)) throw new AppError('REQUEST_INVALID', 'the authority\'s SHA-256 must be 64 hex digits')
  const { keyPem, csrPem } = await makeKeyAndCsr(hostname())
  const body = Enrol.safeParse({ token, csr: csrPem, agentVersion, protocolVersion: PROTOCOL_VERSION })
  if (!body.success) throw new AppError('REQUEST_INVALID', 'the token is not one that the appliance gives', { cause: body.error })
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)])
  let enrolled: Enrolled
  let caPem: string
  try {
    const connected = await connectPinned(host, port, options.caSha256, inTime)
    caPem = connected.caPem
    enrolled = await post(connected.socket, host, body.data, inTime)
  } catch (error) {
    signal.throwIfAborted()
    if (inTime.aborted) throw new AppError('LINK_REFUSED', `the appliance ${host}:${String(port)} did not answer within ${String(CALL_MS / 1000)} s`, { cause: error })
    throw error
  }
  if (caSha256(enrolled.ca) !== caSha256(caPem) || !new X509Certificate(enrolled.certificate).verify(new X509Certificate(caPem).publicKey)) {
    throw new AppError('PEER_UNTRUSTED', 'the appliance answered with a certificate of another authority')
  }
  const identity = { sourceId: enrolled.sourceId, applianceHost: host, replicationPort: enrolled.replicationPort, keyPem, certificatePem: enrolled.certificate, caPem }
  await storeIdentity(stateDirectory, identity)
  return identity
}

async function post(socket: TLSSocket, host: string, body: Enrol, signal: AbortSignal): Promise<Enrolled> {
  const { status, text } = await new Promise<{ status: number, text: string }>((resolve, reject) => {
    const call = request({
      createConnection: () => socket, method: 'POST', path: '/enrolments', signal,
      headers: { host, 'content-type': 'application/json', accept: 'application/json', connection: 'close' },
    }, answer => {
      const chunks: Buffer[] = []
      let bytes = 0
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too long'))
        else chunks.push(chunk)
      })
      answer.on('end', () => { resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }) })
      answer.on('error', reject)
    })
    call.on('error', reject)
    call.end(JSON.stringify(body))
  }).catch((error: unknown) => {
    signal.throwIfAborted()
    throw new AppError('LINK_REFUSED', `the appliance ended the call: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  })
  const enrolled = Enrolled.safeParse(jsonOf(text))
  if (status === 201 && enrolled.success) return enrolled.data
  const problem = Problem.safeParse(jsonOf(text))
  if (problem.success) throw new AppError(problem.data.code in CODES ? problem.data.code as ErrorCode : 'REQUEST_INVALID', problem.data.detail)
  throw new AppError('LINK_REFUSED', `what answers at ${host} is no appliance (HTTP ${String(status)})`)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // not JSON: no answer of ours
  }
}
