import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { makeCertificate } from '../../lab/certificate.ts'

/** What the scripted server was sent. */
export interface Received { readonly operation: string, readonly body: string, readonly cookie: string }
/** An answer: the inside of the response element, a fault, or a whole HTTP answer. */
export type Answer = string | { fault: string, text?: string, inner?: string } | { status: number, raw: string | Buffer } | { headers: Record<string, string>, inner: string } | { end: 'hang' | 'reset' }

export interface SoapServer { readonly port: number, readonly thumbprint: string, readonly certificate: string, readonly received: Received[] }

const CONTENT = '<rootFolder type="Folder">group-d1</rootFolder><propertyCollector type="PropertyCollector">pc</propertyCollector><viewManager type="ViewManager">vm</viewManager>'
  + '<about><name>n</name><fullName>VMware vCenter Server 8.0.3</fullName><vendor>v</vendor><version>8.0.3</version><build>1</build><apiType>VirtualCenter</apiType><apiVersion>8.0.3.0</apiVersion></about>'
  + '<sessionManager type="SessionManager">sm</sessionManager><fileManager type="FileManager">fm</fileManager><virtualDiskManager type="VirtualDiskManager">vdm</virtualDiskManager>'
const SESSION = '<returnval><key>k</key><userName>u</userName><fullName>f</fullName><loginTime>2026-01-01T00:00:00Z</loginTime><lastActiveTime>2026-01-01T00:00:00Z</lastActiveTime><locale>en</locale><messageLocale>en</messageLocale></returnval>'

/** The answers of a server on which logging in works; scripts put theirs over them. */
const DEFAULTS: Readonly<Record<string, Answer>> = {
  RetrieveServiceContent: `<returnval>${CONTENT}</returnval>`,
  // vCenter's cookie stands in quotes
  Login: { headers: { 'set-cookie': 'vmware_soap_session="52aa-01"; Path=/; HttpOnly; Secure;' }, inner: SESSION },
  Logout: '', DestroyPropertyCollector: '', DestroyView: '', CancelTask: '',
}

/** A TLS server that speaks as much SOAP as a script tells it: a function of the operation, or the path of what is no SOAP, and how often it was called before. */
export async function soapServer(t: Test, script: (operation: string, times: number, cookie: string) => Answer | undefined): Promise<SoapServer> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-soap-'))
  const certificate = await makeCertificate(folder, 'soap')
  const received: Received[] = []
  const server = createServer({ key: certificate.key, cert: certificate.certificate }, (request, response) => {
    void (async () => {
      const body = await read(request)
      const operation = /<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)/.exec(body)?.[1] ?? request.url ?? ''
      const times = received.filter(r => r.operation === operation).length
      received.push({ operation, body, cookie: request.headers.cookie ?? '' })
      const answer = script(operation, times, request.headers.cookie ?? '') ?? DEFAULTS[operation] ?? { fault: 'MethodNotFound' }
      if (typeof answer !== 'string' && 'end' in answer) {
        if (answer.end === 'reset') request.socket.destroy()
        return
      }
      const { status, headers, text } = answerText(operation, answer)
      response.writeHead(status, { 'content-type': 'text/xml; charset=utf-8', ...headers }).end(text)
    })()
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise(resolve => { server.close(resolve) })
    await rm(folder, { recursive: true, force: true })
  })
  return { port: portOf(server), thumbprint: certificate.thumbprint, certificate: certificate.certificate, received }
}

function answerText(operation: string, answer: Exclude<Answer, { end: string }>): { status: number, headers: Record<string, string>, text: string | Buffer } {
  if (typeof answer === 'string') return { status: 200, headers: {}, text: envelope(`<${operation}Response xmlns="urn:vim25">${answer}</${operation}Response>`) }
  if ('raw' in answer) return { status: answer.status, headers: {}, text: answer.raw }
  if ('fault' in answer) {
    const detail = `<${answer.fault}Fault xmlns="urn:vim25" xsi:type="${answer.fault}">${answer.inner ?? ''}</${answer.fault}Fault>`
    const fault = `<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>${answer.text ?? ''}</faultstring><detail>${detail}</detail></soapenv:Fault>`
    return { status: 500, headers: {}, text: envelope(fault) }
  }
  return { status: 200, headers: answer.headers, text: envelope(`<${operation}Response xmlns="urn:vim25">${answer.inner}</${operation}Response>`) }
}

function envelope(body: string): string {
  return '<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    + `xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n<soapenv:Body>\n${body}\n</soapenv:Body>\n</soapenv:Envelope>`
}

async function read(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  return body
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}
