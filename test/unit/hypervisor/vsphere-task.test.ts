import t, { type Test } from 'tap'
import { AppError } from '../../../src/errors/app-error.ts'
import type { Clock } from '../../../src/clock/clock.ts'
import { faultError, VimFault } from '../../../src/hypervisor/vsphere-faults.ts'
import { ref } from '../../../src/hypervisor/vsphere-object.ts'
import { VsphereSession } from '../../../src/hypervisor/vsphere-session.ts'
import { runTask, withPatience, type TaskOptions } from '../../../src/hypervisor/vsphere-task.ts'
import { soapServer, type Answer, type SoapServer } from './soap-server.ts'

const soon = (): AbortSignal => AbortSignal.timeout(20_000)
const update = (version: string, changes: Record<string, string>): string => `<returnval><version>${version}</version><filterSet><filter type="PropertyFilter">f</filter><objectSet><kind>modify</kind><obj type="Task">task-1</obj>`
  + `${Object.entries(changes).map(([name, val]) => `<changeSet><name>${name}</name><op>assign</op>${val}</changeSet>`).join('')}</objectSet></filterSet></returnval>`
const state = (value: string): Record<string, string> => ({ 'info.state': `<val xsi:type="TaskInfoState">${value}</val>` })

/** A server on which PowerOnVM_Task starts task-1, whose updates are these, one per call. */
async function withTask(t: Test, updates: (times: number) => Answer): Promise<{ server: SoapServer, run: (more?: Partial<TaskOptions>) => Promise<unknown>, session: VsphereSession }> {
  const server = await soapServer(t, (operation, times) => {
    switch (operation) {
      case 'PowerOnVM_Task': return '<returnval type="Task">task-1</returnval>'
      case 'CreatePropertyCollector': return '<returnval type="PropertyCollector">session-pc</returnval>'
      case 'CreateFilter': return '<returnval type="PropertyFilter">f</returnval>'
      case 'WaitForUpdatesEx': return updates(times)
      default: return undefined
    }
  })
  const session = await VsphereSession.open({ host: '127.0.0.1', port: server.port, user: 'u', password: 'p', thumbprint: server.thumbprint }, soon())
  t.teardown(async () => { await session[Symbol.asyncDispose]() })
  return { server, session, run: async (more = {}) => await runTask(session, 'PowerOnVM_Task', ref('VirtualMachine', 'vm-1'), {}, { signal: soon(), doing: 'power on', ...more }) }
}

t.test('a task is followed over several updates to its result', async t => {
  const { run, server } = await withTask(t, times => times === 0 ? update('1', state('running')) : times === 1 ? '' : update('2', { ...state('success'), 'info.result': '<val xsi:type="xsd:string">done</val>' }))
  t.equal(await run(), 'done')
  const versions = server.received.filter(r => r.operation === 'WaitForUpdatesEx').map(r => /<(?:\w+:)?version>([^<]*)/.exec(r.body)?.[1] ?? '')
  t.strictSame(versions, ['', '1', '1'])
  t.equal(server.received.at(-1)?.operation, 'DestroyPropertyCollector', 'nothing is left on the server')
})

t.test('a failed task is the error that its fault means', async t => {
  const error = '<val xsi:type="LocalizedMethodFault"><fault xsi:type="FileLocked"><file>[a] b.vmdk</file></fault><localizedMessage>Unable to access file</localizedMessage></val>'
  const { run } = await withTask(t, () => update('1', { ...state('error'), 'info.error': error }))
  await t.rejects(run(), { code: 'VSPHERE_BUSY', message: 'cannot power on: the file is in use (FileLocked: Unable to access file)' })
})

t.test('a new login in the middle makes a new collector, and the task is still followed', async t => {
  const { run, server, session } = await withTask(t, times => {
    if (times === 0) return update('1', state('running'))
    if (times === 1) return { fault: 'NotAuthenticated' }
    if (times === 2) return { fault: 'ManagedObjectNotFound', inner: '<obj type="PropertyCollector">session-pc</obj>' }
    return update('1', state('success'))
  })
  await run()
  t.equal(session.logins, 2)
  t.equal(server.received.filter(r => r.operation === 'CreateFilter').length, 2)
  t.equal(server.received.filter(r => r.operation === 'PowerOnVM_Task').length, 1, 'the task itself is started once')
})

t.test('a task that does not end is VSPHERE_TIMEOUT and asked to cancel', async t => {
  const { run, server } = await withTask(t, () => ({ end: 'hang' }))
  await t.rejects(run({ deadlineMs: 150 }), { code: 'VSPHERE_TIMEOUT', message: /cannot power on: the task did not end within 150 ms/ })
  t.ok(server.received.some(r => r.operation === 'CancelTask'))
})

t.test('an abort asks the task to cancel and rejects with the reason of the signal', async t => {
  const { run, server } = await withTask(t, () => ({ end: 'hang' }))
  const stop = new AbortController()
  setTimeout(() => { stop.abort(new Error('stopped')) }, 100)
  await t.rejects(run({ signal: stop.signal }), { message: 'stopped' })
  t.ok(server.received.some(r => r.operation === 'CancelTask'))
})

t.test('while nothing happens the caller may look at the VM and end the wait', async t => {
  const { run } = await withTask(t, times => times === 0 ? update('1', state('running')) : '')
  await t.rejects(run({ whileWaiting: async () => { throw new AppError('VSPHERE_STATE', 'the VM asks') } }), { code: 'VSPHERE_STATE' })
})

/** A clock whose sleeps end at once and are kept. */
function instantClock(): { clock: Clock, slept: number[] } {
  const slept: number[] = []
  return { slept, clock: { now: () => 0, sleep: async (ms, signal) => { signal.throwIfAborted(); slept.push(ms) } } }
}
const busy = (): AppError => faultError(new VimFault('FileLocked', ''), 'attach')

t.test('what is busy is tried again with growing pauses', async t => {
  const { clock, slept } = instantClock()
  let made = 0
  t.equal(await withPatience({ clock, signal: soon() }, [], async () => { made += 1; if (made < 5) throw busy(); return made }), 5)
  t.equal(slept.length, 4)
  for (const [i, ms] of slept.entries()) t.ok(ms >= 250 * 2 ** i && ms <= 500 * 2 ** i, `pause ${String(i)} is ${String(ms)} ms`)
})

t.test('it is not tried for ever', async t => {
  const { clock, slept } = instantClock()
  await t.rejects(withPatience({ clock, signal: soon(), attempts: 3 }, [], async () => { throw busy() }), { code: 'VSPHERE_BUSY' })
  t.equal(slept.length, 2)
})

t.test('other errors are not tried again, but for the faults that the caller names', async t => {
  const { clock, slept } = instantClock()
  const refusal = faultError(new VimFault('GenericVmConfigFault', ''), 'attach')
  await t.rejects(withPatience({ clock, signal: soon() }, [], async () => { throw refusal }), { code: 'VSPHERE_FAULT' })
  t.equal(slept.length, 0)
  await t.rejects(withPatience({ clock, signal: soon(), attempts: 2 }, ['GenericVmConfigFault'], async () => { throw refusal }), { code: 'VSPHERE_FAULT' })
  t.equal(slept.length, 1)
})

t.test('an abort ends the pause', async t => {
  const { clock } = instantClock()
  await t.rejects(withPatience({ clock, signal: AbortSignal.abort() }, [], async () => { throw busy() }), { name: 'AbortError' })
})
