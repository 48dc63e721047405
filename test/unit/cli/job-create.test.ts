import { join } from 'node:path'
import t from 'tap'
import { problem, run, startAppliance } from './fake-appliance.ts'
import { jobView } from './records.ts'

const args = ['job', 'create', 'move web1', '--source', 'web1', '--vmware', 'vc1', '--datastore', 'ds1', '--network', 'VM Network', '--network', '52:54:00:aa:bb:cc=DMZ', '--volume', '/data', '--volume', '/srv', '--no-shutdown']

t.test('a job is created from flags, and what comes next is said', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs', { status: 201, body: jobView({ name: 'move web1' }) })
  const { code, out } = await run(appliance, args)
  t.equal(code, 0)
  t.equal(out, 'Created job move web1. Next: landfall job validate "move web1"\n')
  t.match(appliance.seen[0]?.body, { name: 'move web1', options: { volumes: ['/data', '/srv'], defaultNetwork: 'VM Network', networks: [{ sourceMac: '52:54:00:aa:bb:cc', network: 'DMZ' }], shutDownSource: false } })
  t.match(JSON.parse((await run(appliance, [...args, '--json'])).out), { id: 'j-1', state: 'created' })
})

t.test('scripts get the arguments that follow them, and services are stopped in the order given', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs', { status: 201, body: jobView({ name: 'move web1' }) })
  const quiesce = ['--pre-script', 'one', '--pre-script-arg', 'a b', '--pre-script-arg=-x', '--pre-script', 'two', '--pre-script-timeout', '60', '--stop-service', 'web', '--stop-service', 'db']
  t.equal((await run(appliance, [...args, ...quiesce])).code, 0)
  t.match(appliance.seen[0]?.body, { options: { quiesce: {
    scripts: [{ name: 'one', arguments: ['a b', '-x'], timeoutMs: 60_000 }, { name: 'two', arguments: [], timeoutMs: 60_000 }], services: ['web', 'db'],
  } } })
  t.match(await run(appliance, [...args, '--pre-script-arg', 'x']), { code: 2, err: /needs a --pre-script NAME before it/ })
  t.match(await run(appliance, [...args, '--pre-script', '../x']), { code: 2 })
  t.match(await run(appliance, [...args, '--stop-service', '-x y']), { code: 2 })
  t.equal(appliance.seen.length, 1, 'the appliance was not asked for what is wrong')
})

t.test('a name that is taken is refused with what to do', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs', problem('JOB_EXISTS', 'there is a job named move web1'))
  t.match(await run(appliance, args), { code: 4, err: /Choose another job name/ })
})

t.test('the passphrase of what is encrypted anew comes from a file, the environment or a prompt, and is shown nowhere', async t => {
  const dir = t.testdir({ appliance: {}, passphrase: 'from-file\n' })
  await using appliance = await startAppliance(join(dir, 'appliance'))
  appliance.on('POST /jobs', { status: 201, body: jobView({ name: 'move web1' }) })
  const sealed = [...args, '--encryption', 're-encrypt']
  const runs = [
    await run(appliance, [...sealed, '--passphrase-file', join(dir, 'passphrase')]), await run(appliance, sealed, { environment: { LANDFALL_PASSPHRASE: 'from-env' } }),
    await run(appliance, sealed, { answers: ['from-prompt', 'from-prompt'] }),
  ]
  t.same(runs.map(r => r.code), [0, 0, 0])
  t.same(appliance.seen.map(s => (s.body as { passphrase: string }).passphrase), ['from-file', 'from-env', 'from-prompt'])
  t.notMatch(runs.map(r => r.out + r.err).join(''), /from-/)
  t.match(await run(appliance, sealed, { answers: ['from-prompt', 'from-promt'] }), { code: 2, err: /passphrases differ/ })
  t.match(await run(appliance, sealed, { environment: { LANDFALL_PASSPHRASE: 'short' } }), { code: 2, err: /8 to 512 characters/ })
  t.match(await run(appliance, [...args, '--passphrase-file', join(dir, 'passphrase')]), { code: 2, err: /needs --encryption re-encrypt/ })
  t.equal(appliance.seen.length, 3)
})
