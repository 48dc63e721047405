/**
 * The HTTPS server between the appliance and vcsim. It makes vcsim behave like a host where the product depends on it: a task's answer is
 * held until the follower has done what the task says, refusals of a real host (front-rules.ts), sizes of attached disks. And it breaks
 * things on request: faults, failing tasks, HTTP errors, resets, expired sessions, delays.
 */
import { readFileSync } from 'node:fs'
import { createServer, Agent, request as httpsRequest } from 'node:https'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { LabCertificate } from './certificate.ts'
import type { Follower } from './follower.ts'
import { refusalOf, type Refusal } from './front-rules.ts'
import { blocksOf, createDiskCall, envelope, escapeXml, failingTaskCall, parseCall, soapFault, taskStateCall, textOf, type Call } from './front-xml.ts'
import { waitUntil } from './process-identity.ts'
import { tool } from './tool.ts'
import { capacityOf, materialise, type LabVm, type Vcsim } from './vcsim.ts'

export type Fault = 'task' | 'call'

/** Something to break: the first rule whose method (and pattern) fits a call takes it. */
export interface FrontRule {
  method: string
  /** further condition on the request's XML, prefixes removed */
  match?: RegExp
  /** how often; for ever when left out */
  times?: number
  /** wait before the call goes on */
  delayMs?: number
  /** a fault of the call, or of its task */
  refuse?: Refusal & { as: Fault }
  /** an HTTP status instead of an answer */
  status?: number
  /** the connection ends without an answer */
  reset?: boolean
}

export interface Front extends AsyncDisposable {
  readonly port: number
  readonly certificate: LabCertificate
  /** rules may be added and removed at any time */
  readonly rules: FrontRule[]
  /** methods called so far, oldest first, the last 2000 */
  readonly calls: readonly string[]
}

interface Answer { status: number, headers: IncomingHttpHeaders, body: string }

const MAX_CALLS = 2000
const TASK_TIMEOUT_MS = 30_000
const COPY_TIMEOUT_MS = 300_000

/** An expired session, as the server tells it. */
export const SESSION_EXPIRED: Refusal & { as: Fault } = { as: 'call', fault: 'NotAuthenticated', message: 'The session is not authenticated.', detail: '<object type="Folder">group-d1</object><privilegeId>System.View</privilegeId>' }

/** @param upstreamCertificate what vcsim shows; @param port 0: any free port */
export async function startFront(
  { vcsim, follower, certificate, upstreamCertificate = certificate, datacenter, datastore, port = 0 }:
  { vcsim: Vcsim, follower: Follower, certificate: LabCertificate, upstreamCertificate?: LabCertificate, datacenter: string, datastore: string, port?: number },
): Promise<Front> {
  const upstream = new URL(vcsim.url)
  const agent = new Agent({ keepAlive: true, ca: upstreamCertificate.certificate })
  const rules: FrontRule[] = []
  const calls: string[] = []
  const failing = new Map<string, Refusal>()
  const parents = new Map<string, string>() // by their children

  async function forward(request: IncomingMessage, body: string): Promise<Answer> {
    const headers = without(request.headers, 'content-length', 'transfer-encoding', 'accept-encoding')
    return await new Promise((resolve, reject) => {
      const out = httpsRequest({ host: upstream.hostname, port: upstream.port, path: request.url, method: request.method, agent, headers: { ...headers, host: upstream.host, 'content-length': Buffer.byteLength(body) } }, (answer) => {
        readAll(answer).then(text => { resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: text }) }, reject)
      })
      out.on('error', reject)
      out.end(body)
    })
  }

  /** waits until vcsim has ended the task, and then until the follower has done it */
  async function barrier(request: IncomingMessage, answer: Answer): Promise<void> {
    const task = /type="Task"[^>]*>([^<]+)</.exec(answer.body)?.[1]
    if (task === undefined) return
    await waitUntil(`task ${task} to end`, TASK_TIMEOUT_MS, async () => /TaskInfoState">(?:success|error)</.test((await forward(request, taskStateCall(task))).body))
    await follower.reconcile()
  }

  async function refuseTask(request: IncomingMessage, method: string, refusal: Refusal): Promise<Answer> {
    const answer = await forward(request, failingTaskCall(datacenter, datastore))
    const task = /type="Task"[^>]*>([^<]+)</.exec(answer.body)?.[1]
    if (task !== undefined) failing.set(task, refusal)
    return { ...answer, body: answer.body.replaceAll('DeleteVirtualDisk_Task', method) }
  }

  /** vcsim copies the descriptor with the name of the other's data in it, and every hole as zeros: the disk is made anew here, and gets a copy of the data */
  async function copyDisk(request: IncomingMessage, call: Call): Promise<Answer> {
    const [from, to] = [textOf(call.xml, 'sourceName') ?? '', textOf(call.xml, 'destName') ?? '']
    const answer = await copied(request, from, to)
    return { ...answer, body: answer.body.replaceAll('CreateVirtualDisk_Task', call.method) }
  }

  async function copied(request: IncomingMessage, from: string, to: string): Promise<Answer> {
    const answer = await forward(request, createDiskCall(datacenter, to, await capacityOf(vcsim.fileOf(from))))
    await barrier(request, answer)
    await tool('cp', ['--sparse=always', '--', await materialise(vcsim.fileOf(from)), await materialise(vcsim.fileOf(to))], { timeoutMs: COPY_TIMEOUT_MS })
    parents.delete(to) // a child that was there before
    return answer
  }

  /** vcsim makes an empty disk of a child: here it gets what the parent has, and then is attached as a disk that is there */
  async function attachChild(request: IncomingMessage, body: string, call: Call): Promise<Answer> {
    const [parent, child] = [textOf(blocksOf(call.xml, 'parent')[0] ?? '', 'fileName') ?? '', textOf(call.xml, 'fileName') ?? '']
    await copied(request, parent, child)
    parents.set(child, parent)
    return await forward(request, body.replace(/<(\w+:)?fileOperation>create<[^>]*>/, ''))
  }

  async function obey(request: IncomingMessage, body: string, call: Call): Promise<Answer> {
    if (call.method === 'CopyVirtualDisk_Task') return await copyDisk(request, call)
    if (call.method === 'ReconfigVM_Task' && call.xml.includes('<parent')) return await attachChild(request, body, call)
    return await forward(request, body)
  }

  function withParents(vm: LabVm): LabVm {
    return { ...vm, disks: vm.disks.map((disk) => {
      const parent = parents.get(disk.fileName)
      return parent === undefined ? disk : { ...disk, parent }
    }) }
  }

  async function soap(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const call = parseCall(body)
    calls.push(call.method)
    if (calls.length > MAX_CALLS) calls.shift()
    const rule = rules.find(r => r.method === call.method && r.times !== 0 && (r.match?.test(call.xml) ?? true))
    if (rule?.times !== undefined) rule.times -= 1
    if (rule?.delayMs !== undefined) await new Promise(resolve => setTimeout(resolve, rule.delayMs))
    if (rule?.reset === true) { response.destroy(); return }
    if (rule?.status !== undefined) { send(response, rule.status, { 'content-type': 'text/html' }, `<html><body>${String(rule.status)}</body></html>`); return }
    if (rule?.refuse?.as === 'call') { send(response, 500, XML, soapFault(rule.refuse.fault, rule.refuse.message, rule.refuse.detail)); return }
    const refusal = rule?.refuse ?? await refusalOf(call, follower.vms.map(withParents), vcsim)
    let answer = refusal === undefined ? await obey(request, body, call) : await refuseTask(request, call.method, refusal)
    if (refusal === undefined && call.method.endsWith('_Task') && answer.status === 200) {
      try {
        await barrier(request, answer)
      } catch (error) {
        answer = { status: 500, headers: XML, body: soapFault('GenericVmConfigFault', `lab: ${error instanceof Error ? error.message : String(error)}`, '<reason>the lab could not follow</reason>') }
      }
    }
    send(response, answer.status, answer.headers, withSizes(withFaults(answer.body, failing), vcsim))
  }

  const server = createServer({ key: certificate.key, cert: certificate.certificate }, (request, response) => {
    void (async () => {
      try {
        const body = await readAll(request)
        if (request.method === 'POST' && (request.url ?? '').startsWith('/sdk')) { await soap(request, response, body); return }
        const { pathname, searchParams } = new URL(request.url ?? '/', upstream)
        if (/^\/(?:folder|screen)\b/.test(pathname) && request.headers.cookie === undefined) { send(response, 401, {}, ''); return }
        if (pathname === '/screen') {
          const image = await follower.screenshot(searchParams.get('id') ?? '')
          send(response, image === undefined ? 404 : 200, { 'content-type': 'image/png' }, image ?? '')
          return
        }
        const answer = await forward(request, body)
        send(response, answer.status, answer.headers, answer.body)
      } catch (error) {
        if (!response.headersSent) send(response, 502, XML, envelope(`<error>${escapeXml(String(error))}</error>`))
      }
    })()
  })
  await new Promise<void>((resolve) => { server.listen(port, '127.0.0.1', resolve) })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the front has no port')
  return {
    port: address.port, certificate, rules, calls,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      agent.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

const XML = { 'content-type': 'text/xml; charset=utf-8' }

function without(headers: IncomingHttpHeaders, ...names: string[]): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))
}

async function readAll(stream: IncomingMessage): Promise<string> {
  let text = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream) text += String(chunk)
  return text
}

function send(response: ServerResponse, status: number, headers: IncomingHttpHeaders, body: string | Buffer): void {
  response.writeHead(status, { ...without(headers, 'content-length', 'transfer-encoding'), 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

/** The borrowed task's FileNotFound becomes the fault that it stands for. */
function withFaults(body: string, failing: ReadonlyMap<string, Refusal>): string {
  let text = body
  for (const [task, refusal] of failing) {
    if (!text.includes(`>${task}<`)) continue
    text = text.replace(/<fault\b[^>]*:type="FileNotFound"[\s\S]*?<\/fault>\s*<localizedMessage>[^<]*/g,
      () => `<fault xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="${refusal.fault}">${refusal.detail ?? ''}</fault><localizedMessage>${escapeXml(refusal.message)}`)
  }
  return text
}

/** A host reads the size of an attached disk from its descriptor; vcsim leaves what the caller sent, which is nothing. */
function withSizes(body: string, vcsim: Vcsim): string {
  return body.replace(/<(VirtualDevice|device)\b[^>]*type="VirtualDisk"[\s\S]*?<\/\1>/g, (device) => {
    const path = textOf(device, 'fileName')
    if (path === undefined || !/<capacityInKB>0</.test(device)) return device
    let sectors: number
    try {
      sectors = Number(/^RW (\d+) /m.exec(readFileSync(vcsim.fileOf(path), 'latin1'))?.[1])
    } catch {
      return device // the file is gone: nothing to read
    }
    return device.replace(/<capacityInKB>0</, `<capacityInKB>${String(sectors / 2)}<`).replace(/<capacityInBytes>0</, `<capacityInBytes>${String(sectors * 512)}<`)
  })
}
