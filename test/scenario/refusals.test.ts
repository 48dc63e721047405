/** What a user cannot do, and is told why. */
import t from 'tap'
import { World } from './world.ts'

t.test('a cutover is refused while the mirror is not complete, and the mirror goes on', async t => {
  await using world = new World()
  world.source.holdMirror = true
  const engine = await world.start()
  const { id } = await world.createJob()
  await engine.act(id, 'validate')
  await world.until('ready')
  await engine.act(id, 'start')
  await world.until('mirroring')
  await t.rejects(engine.act(id, 'cutover'), { code: 'JOB_TRANSITION_INVALID', message: 'a job that is mirroring cannot cutover' })
  t.equal((await engine.get(id)).state, 'mirroring')
})

t.test('an unknown job is not found', async t => {
  await using world = new World()
  const engine = await world.start()
  await t.rejects(engine.act('nothing', 'start'), { code: 'JOB_NOT_FOUND' })
  await t.rejects(engine.get('nothing'), { code: 'JOB_NOT_FOUND' })
})

t.test('two jobs cannot have one name', async t => {
  await using world = new World()
  await world.start()
  await world.createJob()
  await t.rejects(world.createJob(), { code: 'JOB_EXISTS' })
})

t.test('a job with validation errors does not start, and says which', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.createJob({ datastore: 'nowhere', defaultNetwork: 'no such network' })
  await engine.act(id, 'validate')
  const invalid = await world.until('invalid')
  const codes = invalid?.validation.filter(finding => finding.severity === 'error').map(finding => finding.code) ?? []
  t.ok(codes.includes('DATASTORE_NOT_FOUND') && codes.includes('NETWORK_NOT_FOUND'), codes.join(' '))
  await t.rejects(engine.act(id, 'start'), { code: 'JOB_VALIDATION_FAILED', message: /nowhere/ })
})

t.test('a source that is not connected, or a wrong password, is a finding of the validation; corrected, it passes', async t => {
  await using world = new World()
  world.source.disconnect()
  world.fail('hypervisor.places', 'VSPHERE_LOGIN')
  const engine = await world.start()
  const { id } = await world.createJob()
  await engine.act(id, 'validate')
  const invalid = await world.until('invalid')
  t.strictSame(invalid?.validation.map(finding => finding.code), ['SOURCE_NOT_CONNECTED', 'VSPHERE_LOGIN'])
  t.ok(invalid?.validation.every(finding => finding.advice !== ''))
  world.source.connect()
  await engine.act(id, 'validate')
  t.equal((await world.until('ready', 'failed'))?.state, 'ready')
})

t.test('a source can be in one running job only', async t => {
  await using world = new World()
  const engine = await world.start()
  await world.protect()
  const second = await engine.create({ name: 'again', source: world.source.id, vmware: 'vmware-1', options: (await engine.get('move-shop')).options })
  await engine.act(second.id, 'validate')
  while ((await engine.get('again')).state !== 'invalid') await new Promise(resolve => { setImmediate(resolve) })
  const errors = (await engine.get('again')).validation.filter(finding => finding.severity === 'error').map(finding => finding.code)
  t.ok(errors.includes('SOURCE_IN_OTHER_JOB'), errors.join(' '))
  t.ok(errors.includes('VM_NAME_TAKEN'), errors.join(' '))
})
