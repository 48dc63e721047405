import t from 'tap'
import { govcAbout, govcImportOva, type GovcTarget } from '../../../src/command/govc.ts'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'

const target: GovcTarget = { host: 'vc.example', port: 443, user: 'operator', password: 's3cret', caFile: '/ca.pem' }
const options = { signal: AbortSignal.timeout(5000), timeoutMs: 1000 }
const fixtures = new URL('../../../fixtures/command', import.meta.url).pathname

t.test('the server tells its product and API version', async t => {
  const runner = await ScriptedRunner.open(fixtures, ['govc/about'])
  t.strictSame(await govcAbout(runner, target, options), { product: 'VMware vCenter Server 6.5.0 build-5973321', apiVersion: '6.5' })
})

t.test('the password is in the environment and in no argument', async t => {
  const runner = await ScriptedRunner.open(fixtures, ['govc/about'])
  await govcAbout(runner, target, options)
  t.match(runner.calls[0]?.env, { GOVC_PASSWORD: 's3cret', GOVC_URL: 'https://vc.example:443/sdk', GOVC_TLS_CA_CERTS: '/ca.pem', GOVC_PERSIST_SESSION: 'false' })
  t.notMatch(JSON.stringify(runner.calls[0]?.args), /s3cret/)
})

t.test('an answer of another form is TOOL_OUTPUT', async t => {
  for (const stdout of ['', 'not json', '{"about":{}}']) {
    await t.rejects(govcAbout(new ScriptedRunner([{ tool: 'govc', args: ['about', '-json'], stdout }]), target, options), { code: 'TOOL_OUTPUT' }, stdout)
  }
})

t.test('an import names the VM, and its properties go in by standard input', async t => {
  const args = ['import.ova', '-json', '-options=-', '-name=landfall', '-ds=ds1', '-host=esx1', '--', '-odd.ova']
  const runner = new ScriptedRunner([{ tool: 'govc', args }])
  await govcImportOva(runner, target, { file: '-odd.ova', vmName: 'landfall', datastore: 'ds1', host: 'esx1', networks: { net0: 'VM Network' }, properties: { 'landfall.password': 'first' } }, options)
  t.match(JSON.parse(runner.calls[0]?.input ?? ''), { NetworkMapping: [{ Name: 'net0', Network: 'VM Network' }], PropertyMapping: [{ Key: 'landfall.password', Value: 'first' }], PowerOn: false })
})
