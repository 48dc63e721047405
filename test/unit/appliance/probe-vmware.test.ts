import t from 'tap'
import { probeVmware, type ProbeParts, type ShownCertificate } from '../../../src/appliance/probe-vmware.ts'
import type { AddVmware } from '../../../src/domain/server.ts'
import { normalThumbprint } from '../../../src/hypervisor/vsphere-certificate.ts'
import { MemoryVolumeStack } from '../../../src/storage/memory-volume-stack.ts'
import { ScriptedHypervisor } from '../../scenario/scripted-hypervisor.ts'

const SERVER: AddVmware = { name: 'lab', host: 'esx', port: 443, user: 'u', password: 'p' }
const SELF_SIGNED: ShownCertificate = { subject: 'CN=esx', thumbprint: 'AA:BB:CC', verified: false, reason: 'it is self-signed' }

function partsWith(shown: ShownCertificate, logins: string[]): ProbeParts {
  return {
    showCertificate: async () => shown, normalThumbprint,
    login: async (_server, thumbprint) => {
      logins.push(thumbprint)
      return new ScriptedHypervisor(new MemoryVolumeStack(), 'x')
    },
  }
}

t.test('an untrusted certificate is shown, and no login is sent', async t => {
  const logins: string[] = []
  await t.rejects(probeVmware(partsWith(SELF_SIGNED, logins), SERVER, AbortSignal.timeout(1000)), { code: 'CERTIFICATE_UNTRUSTED', message: /self-signed.*CN=esx.*AA:BB:CC/ })
  t.strictSame(logins, [])
})

t.test('another certificate than the accepted one is refused, and no login is sent', async t => {
  const logins: string[] = []
  await t.rejects(probeVmware(partsWith(SELF_SIGNED, logins), { ...SERVER, acceptThumbprint: 'AA:BB:DD' }, AbortSignal.timeout(1000)), { code: 'CERTIFICATE_UNTRUSTED', message: /AA:BB:CC/ })
  t.strictSame(logins, [])
})

t.test('an accepted certificate is pinned, in whichever form it was typed', async t => {
  const logins: string[] = []
  t.match(await probeVmware(partsWith(SELF_SIGNED, logins), { ...SERVER, acceptThumbprint: 'aabbcc' }, AbortSignal.timeout(1000)), { thumbprint: 'AA:BB:CC', product: 'VMware ESXi 8.0' })
  t.strictSame(logins, ['AA:BB:CC'])
})

t.test('a certificate that the system\'s authorities vouch for needs no acceptance', async t => {
  const logins: string[] = []
  t.match(await probeVmware(partsWith({ ...SELF_SIGNED, verified: true }, logins), SERVER, AbortSignal.timeout(1000)), { thumbprint: '' })
})
