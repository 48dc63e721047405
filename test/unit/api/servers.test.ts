/** Answers for api/sources.ts, api/targets.ts and api/enrolments.ts. */
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { z } from 'zod'
import { EnrolmentOffer, Enrolled, SourceRecord, VmwareRecord } from '../../../src/domain/server.ts'
import { makeKeyAndCsr } from '../../../src/trust/key.ts'
import { PROTOCOL_VERSION } from '../../../src/wire/messages.ts'
import { ApiWorld, THUMBPRINT, type Answer } from './api-world.ts'

const VMWARE = { name: 'lab', host: 'esx.example', user: 'root', password: 'right', acceptThumbprint: THUMBPRINT }

async function offer(api: ApiWorld, body: object = { name: 'shop' }): Promise<EnrolmentOffer> {
  return EnrolmentOffer.parse((await api.call('POST', '/sources', { body })).json)
}

async function enrolment(token: string): Promise<{ token: string, csr: string, agentVersion: string, protocolVersion: number }> {
  return { token, csr: (await makeKeyAndCsr('wish')).csrPem, agentVersion: '0.1.0', protocolVersion: PROTOCOL_VERSION }
}

const sourceOf = (answer: Answer): SourceRecord => SourceRecord.parse(answer.json)

t.test('a source is added with a token, its agent enrols with it and gets a certificate in the source\'s name', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const { token, source, command, caSha256 } = await offer(api)
  t.equal(source.status, 'awaiting-enrolment')
  t.ok(command.includes('appliance:6325') && command.includes(caSha256))
  const answer = await api.call('POST', '/enrolments', { token: null, body: await enrolment(token) })
  t.equal(answer.status, 201)
  const enrolled = Enrolled.parse(answer.json)
  t.equal(enrolled.sourceId, source.id)
  const certificate = new X509Certificate(enrolled.certificate)
  t.match(certificate.subject, source.id)
  t.ok(certificate.verify(new X509Certificate(enrolled.ca).publicKey))
  t.match(sourceOf(await api.call('GET', '/sources/shop')), { status: 'disconnected', agentVersion: '0.1.0' })
})

t.test('a token is good once, until it expires, and until it is replaced', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const first = await offer(api)
  const second = await offer(api)
  t.equal(second.source.id, first.source.id, 'adding a source again that waits for its agent renews the token')
  t.equal(await api.refusal('POST', '/enrolments', { token: null, body: await enrolment(first.token) }), 'ENROLMENT_TOKEN_INVALID')
  await api.call('POST', '/enrolments', { token: null, body: await enrolment(second.token) })
  t.equal(await api.refusal('POST', '/enrolments', { token: null, body: await enrolment(second.token) }), 'ENROLMENT_TOKEN_USED')
  t.equal(await api.refusal('POST', '/sources', { body: { name: 'shop' } }), 'SERVER_EXISTS')
  const renewed = EnrolmentOffer.parse((await api.call('POST', '/sources/shop/actions/renew-token', { body: { tokenValidMs: 1000 } })).json)
  while (Date.now() < Date.parse(renewed.expiresAtUtc)) await new Promise(resolve => { setTimeout(resolve, 20) })
  t.equal(await api.refusal('POST', '/enrolments', { token: null, body: await enrolment(renewed.token) }), 'ENROLMENT_TOKEN_EXPIRED')
})

t.test('what is not the token\'s fault does not use it up', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const { token } = await offer(api)
  const good = await enrolment(token)
  t.equal(await api.refusal('POST', '/enrolments', { token: null, body: { ...good, protocolVersion: 99 } }), 'PROTOCOL_VERSION')
  t.equal(await api.refusal('POST', '/enrolments', { token: null, body: { ...good, csr: 'x' } }), 'REQUEST_INVALID')
  t.equal((await api.call('POST', '/enrolments', { token: null, body: good })).status, 201)
})

t.test('who guesses enrolment tokens is refused after ten', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const { token } = await offer(api)
  const wrong = await enrolment(`${token.slice(0, -3)}AAA`)
  for (let i = 0; i < 10; i++) t.equal(await api.refusal('POST', '/enrolments', { token: null, body: wrong }), 'ENROLMENT_TOKEN_INVALID')
  t.equal(await api.refusal('POST', '/enrolments', { token: null, body: wrong }), 'RATE_LIMITED')
})

t.test('sources are listed with whether they are connected, described, and removed', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await api.register()
  t.strictSame(z.array(SourceRecord).parse((await api.call('GET', '/sources')).json).map(({ name, status }) => [name, status]), [['shop', 'connected']])
  t.match((await api.call('GET', '/sources/shop/workload')).json, { hostName: 'shop' })
  api.world.source.disconnect()
  t.equal(sourceOf(await api.call('GET', '/sources/shop')).status, 'disconnected')
  t.equal(await api.refusal('GET', '/sources/shop/workload'), 'SOURCE_NOT_CONNECTED')
  t.equal((await api.call('DELETE', '/sources/shop')).status, 204)
  t.equal(await api.refusal('GET', '/sources/shop'), 'SERVER_NOT_FOUND')
})

t.test('a VMware server is added when its certificate is accepted and the login works', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const untrusted = await api.call('POST', '/vmware', { body: { ...VMWARE, acceptThumbprint: undefined } })
  t.match(untrusted.json, { code: 'CERTIFICATE_UNTRUSTED', detail: new RegExp(THUMBPRINT) })
  t.equal(await api.refusal('POST', '/vmware', { body: { ...VMWARE, password: 'wrong' } }), 'VSPHERE_LOGIN')
  t.strictSame((await api.call('GET', '/vmware')).json, [], 'nothing was stored')
  const added = await api.call('POST', '/vmware', { body: VMWARE })
  t.equal(added.status, 201)
  t.match(VmwareRecord.parse(added.json), { name: 'lab', port: 443, thumbprint: THUMBPRINT, product: 'VMware ESXi 8.0' })
  t.notMatch(added.text, /right/)
  t.equal(await api.refusal('POST', '/vmware', { body: VMWARE }), 'SERVER_EXISTS')
  t.match((await api.call('GET', '/vmware/lab/places')).json, { datastores: [{ name: 'ds1' }] })
  t.equal((await api.call('DELETE', '/vmware/lab')).status, 204)
})
