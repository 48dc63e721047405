import t from 'tap'
import { z } from 'zod'
import { JobView } from '../../../src/domain/job.ts'
import { OPTIONS } from '../../scenario/workload.ts'
import { ApiWorld, type Answer } from './api-world.ts'

const JOB = { name: 'move-shop', source: 'shop', vmware: 'lab', options: OPTIONS }

async function ready(api: ApiWorld): Promise<void> {
  await api.register()
  await api.call('POST', '/jobs', { body: JOB })
  await api.call('POST', '/jobs/move-shop/actions/validate')
  await api.world.until('ready')
}

const view = (answer: Answer): JobView => JobView.parse(answer.json)

t.test('a job is created, found by id and name, and shown with names and the actions offered', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await api.register()
  const created = await api.call('POST', '/jobs', { body: JOB })
  t.equal(created.status, 201)
  const job = view(created)
  t.match(job, { source: 'shop', vmware: 'lab', state: 'created', sourceConnected: true })
  t.strictSame(job.actions, ['validate', 'remove'])
  t.equal(view(await api.call('GET', `/jobs/${job.id}`)).name, 'move-shop')
  t.equal(view(await api.call('GET', '/jobs/move-shop')).id, job.id)
  t.equal(z.array(JobView).parse((await api.call('GET', '/jobs')).json).length, 1)
})

t.test('an action is answered with 202 and the job in its new state', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await ready(api)
  const answer = await api.call('POST', '/jobs/move-shop/actions/start')
  t.equal(answer.status, 202)
  t.equal(view(answer).state, 'provisioning')
})

t.test('what cannot be is refused with its code', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await api.register()
  t.equal(await api.refusal('POST', '/jobs', { body: { ...JOB, source: 'nobody' } }), 'SERVER_NOT_FOUND')
  t.equal(await api.refusal('POST', '/jobs', { body: { ...JOB, options: { ...OPTIONS, diskFormat: 'round' } } }), 'REQUEST_INVALID')
  t.equal(await api.refusal('POST', '/jobs', { body: { ...JOB, options: { ...OPTIONS, compress: true } } }), 'REQUEST_INVALID')
  await api.call('POST', '/jobs', { body: JOB })
  t.equal(await api.refusal('POST', '/jobs', { body: JOB }), 'JOB_EXISTS')
  t.equal(await api.refusal('POST', '/jobs/move-shop/actions/cutover'), 'JOB_TRANSITION_INVALID')
  t.equal(await api.refusal('POST', '/jobs/move-shop/actions/explode'), 'REQUEST_INVALID')
  t.equal(await api.refusal('POST', '/jobs/nothing/actions/start'), 'JOB_NOT_FOUND')
  t.equal(await api.refusal('POST', '/jobs/move-shop/actions/remove?keepDisks=maybe'), 'REQUEST_INVALID')
  t.equal(await api.refusal('GET', '/jobs/move-shop/history?limit=100000'), 'REQUEST_INVALID')
})

t.test('the screenshot of a cutover is a PNG, as it was taken, for whoever may look', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await ready(api)
  await api.call('POST', '/jobs/move-shop/actions/start')
  await api.world.replicating()
  t.equal(await api.refusal('GET', '/jobs/move-shop/screenshot'), 'SCREENSHOT_NOT_FOUND')
  await api.call('POST', '/jobs/move-shop/actions/cutover')
  await api.world.until('completed')
  const answer = await api.open('GET', '/jobs/move-shop/screenshot?of=cutover', { token: await api.tokenFor('monitor') })
  t.match(answer.headers, { 'content-type': 'image/png', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  t.equal(Buffer.concat(await answer.toArray() as Buffer[]).toString(), 'a screen')
  t.equal(await api.refusal('GET', '/jobs/move-shop/screenshot?of=test-cutover'), 'SCREENSHOT_NOT_FOUND')
  t.equal(await api.refusal('GET', '/jobs/move-shop/screenshot?of=../x'), 'REQUEST_INVALID')
  t.equal(await api.refusal('GET', '/jobs/move-shop/screenshot', { token: null }), 'ACCESS_DENIED')
})

t.test('servers of a job cannot be removed', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await ready(api)
  t.equal(await api.refusal('DELETE', '/sources/shop'), 'SERVER_IN_USE')
  t.equal(await api.refusal('DELETE', '/vmware/lab'), 'SERVER_IN_USE')
})

t.test('a job is removed with its disks kept when that is asked', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await ready(api)
  await api.call('POST', '/jobs/move-shop/actions/start')
  await api.world.replicating()
  await api.call('POST', '/jobs/move-shop/actions/remove?keepDisks=true')
  while ((await api.call('GET', '/jobs/move-shop')).status !== 404) await new Promise(resolve => { setImmediate(resolve) })
  t.equal(api.world.hypervisor.disks.size, 1)
})

t.test('a test cutover needs its network in the query, and one of the job itself is refused', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await ready(api)
  t.equal(await api.refusal('POST', '/jobs/move-shop/actions/test-cutover?network=Isolated'), 'JOB_TRANSITION_INVALID')
  await api.call('POST', '/jobs/move-shop/actions/start')
  await api.world.replicating()
  t.equal(await api.refusal('POST', '/jobs/move-shop/actions/test-cutover'), 'REQUEST_INVALID')
  t.equal(await api.refusal('POST', '/jobs/move-shop/actions/test-cutover?network=VM%20Network'), 'TEST_NETWORK_REFUSED')
  t.equal(await api.refusal('POST', '/jobs/move-shop/actions/undo-test-cutover'), 'JOB_TRANSITION_INVALID')
  for (const wrong of ['testDisks=clones', 'keepMs=1', 'keepMs=1e12', 'keepMs=soon']) t.equal(await api.refusal('POST', `/jobs/move-shop/actions/test-cutover?network=Isolated&${wrong}`), 'REQUEST_INVALID')
  const answer = await api.call('POST', '/jobs/move-shop/actions/test-cutover?network=Isolated')
  t.equal(answer.status, 202)
  t.match(view(answer).testCutover, { network: 'Isolated', vmName: 'shop-replica-test' })
  t.ok(view(answer).actions.includes('undo-test-cutover') && !view(answer).actions.includes('cutover'))
})

t.test('the history is read in pages', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await ready(api)
  const first = z.array(z.object({ sequence: z.number() })).parse((await api.call('GET', '/jobs/move-shop/history?limit=2')).json)
  t.strictSame(first.map(event => event.sequence), [1, 2])
  const rest = z.array(z.object({ sequence: z.number() })).parse((await api.call('GET', '/jobs/move-shop/history?after=2')).json)
  t.equal(rest[0]?.sequence, 3)
})

t.test('a passphrase belongs to a job that encrypts anew, and is neither shown nor logged', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await api.register()
  const layout = { encryption: 're-encrypt' }
  const sealed = { ...JOB, name: 'sealed', options: { ...OPTIONS, layout }, passphrase: 'correct horse' }
  t.equal(await api.refusal('POST', '/jobs', { body: { ...sealed, passphrase: undefined } }), 'REQUEST_INVALID')
  t.equal(await api.refusal('POST', '/jobs', { body: { ...JOB, passphrase: 'correct horse' } }), 'REQUEST_INVALID')
  const refused = await api.call('POST', '/jobs', { body: { ...sealed, passphrase: 'kört horse\n' } })
  t.equal(refused.status, 400, 'it could not be typed at a console')
  const created = await api.call('POST', '/jobs', { body: sealed })
  t.equal(created.status, 201)
  t.equal(await api.servers.passphrases.get(view(created).id), 'correct horse')
  const told = [created.text, refused.text, (await api.call('GET', '/jobs/sealed')).text, (await api.call('GET', '/jobs/sealed/history')).text, ...api.lines].join('\n')
  t.notMatch(told, /horse/)
})
