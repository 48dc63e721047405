import t from 'tap'
import type { TestCutover } from '../../../src/domain/test-cutover.ts'
import { eventStream, problem, run, startAppliance } from './fake-appliance.ts'
import { protecting } from './records.ts'

const ASK = 'POST /jobs/x/actions/test-cutover?network=Isolated+net&testDisks=copies'
const proof = { hostName: 'web1', systemState: 'running', failedUnits: [], addresses: ['192.0.2.10'], scriptOutput: '', bootedAtUtc: '2026-01-02T03:05:00Z' }

function test(changes: Partial<TestCutover>): TestCutover {
  return { state: 'wanted', network: 'Isolated net', vmName: 'web1-test', kind: 'copies', disks: [], standIns: [], hasVm: false, startedAtUtc: '2026-01-02T03:00:00.000Z', ...changes }
}

t.test('without --wait it says that it has begun, or is being undone', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on(ASK, { status: 202, body: protecting({ testCutover: test({}) }) })
  appliance.on('POST /jobs/x/actions/undo-test-cutover', { status: 202, body: protecting({ testCutover: test({ state: 'undoing' }) }) })
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--network', 'Isolated net']), { code: 0, out: /has begun/ })
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--undo']), { code: 0, out: /is being undone/ })
})

t.test('with --wait it ends with the proof and the command that undoes it', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on(ASK, { status: 202, body: protecting({ testCutover: test({}) }) })
  appliance.on('GET /jobs/j-1/events', eventStream(['wanted', 'making', 'booting', 'proved'].map(state => ({ event: 'job', data: protecting({ testCutover: test({ state: state as TestCutover['state'], ...state === 'proved' ? { proof, hasVm: true } : {} }) }) })), true))
  const { code, out } = await run(appliance, ['job', 'test-cutover', 'x', '--network', 'Isolated net', '--wait'])
  t.equal(code, 0)
  t.match(out, /Test VM: +web1-test\nNetwork: +Isolated net\nDisks: +copies\nHost name: +web1\n[^]*Undo: +landfall job test-cutover move-web1 --undo\n$/)
})

t.test('children and a time to stay are passed on, and shown', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs/x/actions/test-cutover?network=n&testDisks=children&keepMs=5400000', { status: 202, body: protecting({ testCutover: test({ kind: 'children' }) }) })
  appliance.on('GET /jobs/j-1/events', eventStream([{ event: 'job', data: protecting({ testCutover: test({ kind: 'children', state: 'proved', proof, hasVm: true }) }) }], true))
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--network', 'n', '--disks', 'children', '--keep', '90m', '--wait']), { code: 0, out: /Disks: +children: replication goes on into stand-ins/ })
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--network', 'n', '--disks', 'clones']), { code: 2, err: /copies, children/ })
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--network', 'n', '--keep', 'long']), { code: 2, err: /--keep/ })
})

t.test('a test that fails ends it with the reason, and how to undo what is left', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on(ASK, { status: 202, body: protecting({ testCutover: test({}) }) })
  appliance.on('GET /jobs/j-1/events', eventStream([{ event: 'job', data: protecting({ testCutover: test({ state: 'failed', hasVm: true, message: 'no sign of life' }) }) }], true))
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--network', 'Isolated net', '--wait']), { code: 6, err: /no sign of life[^]*--undo[^]*BOOT_NOT_PROVEN/ })
})

t.test('--undo --wait ends when it is gone, and with an error when something is left', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs/x/actions/undo-test-cutover', { status: 202, body: protecting({ testCutover: test({ state: 'undoing' }) }) })
  appliance.on('GET /jobs/j-1/events', eventStream([{ event: 'job', data: protecting({ testCutover: test({ state: 'undone' }) }) }], true))
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--undo', '--wait']), { code: 0, out: /was undone/ })
  appliance.on('GET /jobs/j-1/events', eventStream([{ event: 'job', data: protecting({ testCutover: test({ state: 'failed', message: 'It could not be undone: busy' }) }) }], true))
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--undo', '--wait']), { code: 8, err: /busy/ })
})

t.test('a network or --undo must be said, and not both; a refusal is passed on', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  t.match(await run(appliance, ['job', 'test-cutover', 'x']), { code: 2, err: /--network/ })
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--undo', '--network', 'a']), { code: 2 })
  appliance.on('POST /jobs/x/actions/test-cutover?network=Servers&testDisks=copies', problem('TEST_NETWORK_REFUSED', '"Servers" is a network of this job'))
  t.match(await run(appliance, ['job', 'test-cutover', 'x', '--network', 'Servers']), { code: 4, err: /Servers/ })
})
