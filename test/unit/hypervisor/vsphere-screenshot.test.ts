import t, { type Test } from 'tap'
import { systemClock } from '../../../src/clock/clock.ts'
import { screenshot } from '../../../src/hypervisor/vsphere-vm.ts'
import { VsphereSession } from '../../../src/hypervisor/vsphere-session.ts'
import { soapServer, type Answer, type SoapServer } from './soap-server.ts'

const soon = (): AbortSignal => AbortSignal.timeout(20_000)
const PNG = Buffer.from('89504e470d0a1a0affd8fe00', 'hex')
const SCREEN = '/screen?id=vm-42%2F1'

/** A server whose VM has this power, and at /screen this. */
async function take(t: Test, power: string, screen: Answer): Promise<{ server: SoapServer, taken: Promise<Buffer | undefined> }> {
  const server = await soapServer(t, operation => {
    if (operation === 'RetrievePropertiesEx') return `<returnval><objects><obj type="VirtualMachine">vm-42/1</obj><propSet><name>runtime.powerState</name><val xsi:type="VirtualMachinePowerState">${power}</val></propSet></objects></returnval>`
    return operation === SCREEN ? screen : undefined
  })
  const session = await VsphereSession.open({ host: '127.0.0.1', port: server.port, user: 'u', password: 'p', thumbprint: server.thumbprint }, soon())
  t.teardown(async () => { await session[Symbol.asyncDispose]() })
  const taken = screenshot({ session, clock: systemClock, signal: soon() }, 'vm-42/1')
  taken.catch(() => undefined) // looked at by the test
  return { server, taken }
}

t.test('a running VM is asked for with the cookie of the session, and its image comes byte for byte', async t => {
  const { server, taken } = await take(t, 'poweredOn', { status: 200, raw: PNG })
  t.strictSame(await taken, PNG)
  t.equal(server.received.find(r => r.operation === SCREEN)?.cookie, 'vmware_soap_session="52aa-01"')
})

t.test('nothing is asked of a VM that is off', async t => {
  const { server, taken } = await take(t, 'poweredOff', { status: 200, raw: PNG })
  t.equal(await taken, undefined)
  t.notOk(server.received.some(r => r.operation === SCREEN))
})

t.test('a server that has no such page makes none', async t => {
  t.equal(await (await take(t, 'poweredOn', { status: 404, raw: 'no' })).taken, undefined)
})

t.test('what is no image is refused, with nothing of the session in the error', async t => {
  for (const answer of [{ status: 200, raw: '<html>log in</html>' }, { status: 403, raw: 'no' }, { status: 302, raw: '' }, { status: 200, raw: Buffer.alloc((16 << 20) + 1) }, { end: 'reset' as const }]) {
    const { taken } = await take(t, 'poweredOn', answer)
    const error: unknown = await taken.catch((caught: unknown) => caught)
    t.match(error, { code: 'VSPHERE_FAULT', message: /^cannot take a screenshot of the VM vm-42\/1: / })
    t.notMatch(JSON.stringify(error, Object.getOwnPropertyNames(error)), /52aa/)
  }
})
