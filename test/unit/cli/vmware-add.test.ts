import { join } from 'node:path'
import t from 'tap'
import { problem, run, startAppliance } from './fake-appliance.ts'
import { vmware } from './records.ts'

const THUMBPRINT = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, '0').toUpperCase()).join(':')
const untrusted = problem('CERTIFICATE_UNTRUSTED', `the certificate of vc.example:443 does not verify (self-signed): subject CN=vc, SHA-256 thumbprint ${THUMBPRINT}`)
const args = ['vmware', 'add', 'vc1', '--host', 'vc.example', '--user', 'admin']
const created = { status: 201, body: vmware }

t.test('the password comes from the environment, from a file or from a prompt, and is shown nowhere', async t => {
  const dir = t.testdir({ appliance: {}, password: 'from-file\n' })
  await using appliance = await startAppliance(join(dir, 'appliance'))
  appliance.on('POST /vmware', created)
  const runs = [
    await run(appliance, args, { environment: { LANDFALL_VMWARE_PASSWORD: 'from-env' } }),
    await run(appliance, [...args, '--password-file', join(dir, 'password')]),
    await run(appliance, args, { answers: ['from-prompt'] }),
  ]
  t.same(runs.map(r => r.code), [0, 0, 0])
  t.same(appliance.seen.map(s => (s.body as { password: string }).password), ['from-env', 'from-file', 'from-prompt'])
  t.notMatch(runs.map(r => r.out + r.err).join(''), /from-/)
  t.match(appliance.seen[0]?.body, { name: 'vc1', host: 'vc.example', port: 443, user: 'admin' })
})

t.test('a certificate that does not verify is shown and accepted once', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /vmware', untrusted, { status: 201, body: { ...vmware, thumbprint: THUMBPRINT } })
  const { code, out, err, asked } = await run(appliance, args, { answers: ['yes'], environment: { LANDFALL_VMWARE_PASSWORD: 'pw' } })
  t.equal(code, 0)
  t.match(err, /subject CN=vc, SHA-256 thumbprint 00:01:02/)
  t.equal(asked.length, 1)
  t.match(appliance.seen[1]?.body, { acceptThumbprint: THUMBPRINT, password: 'pw' })
  t.match(out, `pinned ${THUMBPRINT}`)
})

t.test('refused, or with nobody to ask, nothing is added', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /vmware', untrusted)
  const environment = { LANDFALL_VMWARE_PASSWORD: 'pw' }
  t.match(await run(appliance, args, { answers: [''], environment }), { code: 5, err: /was not accepted/ })
  t.match(await run(appliance, args, { environment }), { code: 5, err: /--accept-thumbprint/ })
  t.equal(appliance.seen.length, 2)
})

t.test('a thumbprint given beforehand goes along and is not asked about', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /vmware', created)
  t.equal((await run(appliance, [...args, '--accept-thumbprint', THUMBPRINT, '--port', '8989'], { environment: { LANDFALL_VMWARE_PASSWORD: 'pw' } })).code, 0)
  t.match(appliance.seen[0]?.body, { acceptThumbprint: THUMBPRINT, port: 8989 })
})

t.test('a wrong password of the VMware server is told with its exit code', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /vmware', problem('VSPHERE_LOGIN', 'vc.example refused the login of admin'))
  t.match(await run(appliance, args, { environment: { LANDFALL_VMWARE_PASSWORD: 'pw' } }), { code: 5, err: /VSPHERE_LOGIN\)\nCorrect the user or the password/ })
})
