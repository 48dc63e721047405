import t from 'tap'
import type { CaptureStatus, Change } from '../../../src/capture/change-source.ts'
import { createMemoryChangeSource } from '../../../src/capture/memory-change-source.ts'
import { powerOffSystem } from '../../../src/agent/power-off.ts'
import type { Runner } from '../../../src/command/runner.ts'
import { parseRelPath } from '../../../src/domain/rel-path.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { agentLog } from '../../../src/logging/logger.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { ROOTS, soon, TestSource } from './conversation.ts'

const log = agentLog.child({}, { level: 'silent' })

/** A runner that notes what it is asked to run. */
function notedRunner(): { runner: Runner, ran: string[] } {
  const ran: string[] = []
  return { ran, runner: { run: async (tool, args) => { ran.push([tool, ...args].join(' ')); return { stdout: '', stderr: '', exitCode: 0, durationMs: 0 } } } }
}

/** A tree that says when it is closed. */
class ClosingTree extends MemoryTree {
  closed = 0
  override async [Symbol.asyncDispose](): Promise<void> { this.closed++ }
}

t.test('a volume that cannot be opened leaves nothing open and nothing captured', async t => {
  const opened = new ClosingTree()
  await using source = new TestSource({
    openTree: async path => {
      if (path === '/bad') throw new AppError('SOURCE_MISSING', 'not there')
      return opened
    },
  })
  await t.rejects(source.capture.prepare('job-1', [...ROOTS, { index: 2, path: '/bad' }], [], soon()), { code: 'SOURCE_MISSING' })
  t.equal(opened.closed, 1)
  t.equal(source.capture.epoch, '')
  t.throws(() => source.capture.current, { code: 'REQUEST_INVALID' })
})

t.test('what the agent has for itself is not seen, whatever the rules of the job say, and other volumes cost nothing for it', async t => {
  const leftOut = [{ kind: 'exclude' as const, pattern: '/opt/landfall', recursive: true }]
  await using source = new TestSource({ leftOut })
  const roots = [{ index: 0, path: '/' }, { index: 1, path: '/srv' }]
  const { rules, ruleList, volumes } = await source.capture.prepare('job-1', roots, [{ kind: 'include', pattern: '/opt/landfall', recursive: true }], soon())
  t.same(ruleList.length, 1, 'the job has its own')
  t.equal(rules.get(0)?.placeOf(parseRelPath(Buffer.from('opt/landfall')), true), 'excluded')
  const none = await source.capture.prepare('job-1', roots, [], soon())
  t.equal(none.rules.get(0)?.placeOf(parseRelPath(Buffer.from('opt/landfall/bin')), true), 'excluded')
  t.equal(none.rules.get(0)?.placeOf(parseRelPath(Buffer.from('opt/other')), true), 'inside')
  t.equal(none.rules.get(1)?.all, true)
  t.equal(none.volumes.get(1), source.tree)
  t.not(none.volumes.get(0), source.tree)
  t.equal(volumes.size, 2)
})

t.test('disposing thaws, ends the capture and closes the volumes', async t => {
  const tree = new ClosingTree()
  const source = new TestSource({ openTree: async () => tree })
  await source.capture.prepare('job-1', ROOTS, [], soon())
  await source.capture.freeze(1000, soon())
  await source[Symbol.asyncDispose]()
  t.equal(source.freezes[0]?.state, 'thawed')
  t.equal(tree.closed, 1)
  await source[Symbol.asyncDispose]()
})

t.test('a capture whose volume was replaced is opened anew when it is prepared again, and not while there is none', async t => {
  let error: AppError | undefined
  let opened = 0
  await using source = new TestSource({
    openChanges: async () => {
      const changes = createMemoryChangeSource({ epoch: `run-${String(++opened)}` })
      return Object.assign(changes, {
        take: async (): Promise<readonly Change[]> => { if (error !== undefined) throw error; return [] },
        status: (): CaptureStatus => ({ queueBytes: 0, diskQueueBytes: 0, degraded: error === undefined ? [] : [{ kind: 'volume-replaced', sinceMs: 1 }] }),
      })
    },
  })
  await source.capture.prepare('job-1', ROOTS, [], soon())
  error = new AppError('SOURCE_MISSING', 'unmounted')
  await t.rejects(source.capture.prepare('job-1', ROOTS, [], soon()), { code: 'SOURCE_MISSING' })
  t.equal(source.capture.epoch, 'run-1')
  error = new AppError('CAPTURE_OVERFLOW', 'another one')
  await source.capture.prepare('job-1', ROOTS, [], soon())
  t.equal(source.capture.epoch, 'run-2')
  error = undefined
  await source.capture.prepare('job-1', ROOTS, [], soon())
  t.equal(opened, 2)
})

t.test('a source that has come less far than it had is compared whole, once', async t => {
  await using source = new TestSource()
  const { changes, count, safe } = await source.capture.prepare('job-1', ROOTS, [], soon())
  const { epoch: captureEpoch } = changes
  const told = count.tell()
  for (const position of [told, { kept: 0, step: 0 }]) await source.capture.checkReached({ captureEpoch, position })
  await source.capture.checkReached({ captureEpoch: 'another', position: { kept: 9, step: 9 } })
  t.same(changes.status().degraded, [], 'as far as it was told, or another capture')
  const ahead = { captureEpoch, position: { kept: told.kept, step: told.step + 1 } }
  await source.capture.checkReached(ahead)
  t.match(await changes.take(soon()), [{ kind: 'rescan', volume: 1, sinceMs: 0, why: ['volume-rolled-back'] }])
  t.equal(safe.safeMs, 0, 'an agent that ends before it is done compares all, too')
  await source.capture.checkReached(ahead)
  t.same(await changes.take(soon()), [], 'it was seen to')
})

t.test('freezing again thaws what was frozen before', async t => {
  await using source = new TestSource()
  await source.capture.prepare('job-1', ROOTS, [], soon())
  await source.capture.freeze(1000, soon())
  await source.capture.freeze(1000, soon())
  t.same(source.freezes.map(freeze => freeze.state), ['thawed', 'frozen'])
})

t.test('a source that holds itself goes on until it is thawed', async t => {
  await using source = new TestSource()
  await source.capture.prepare('job-1', ROOTS, [], soon())
  await source.capture.freeze(40, soon())
  source.capture.holdItself()
  const [freeze] = source.freezes
  for (const deadline = Date.now() + 5000; (freeze?.holds ?? 0) < 3 && Date.now() < deadline;) await new Promise(resolve => { setTimeout(resolve, 10) })
  t.ok((freeze?.holds ?? 0) >= 3)
  await source.capture.thaw()
  const holds = freeze?.holds
  await new Promise(resolve => { setTimeout(resolve, 60) })
  t.equal(freeze?.holds, holds)
})

t.test('a source that is asked to stay frozen for so long holds itself until then, and no longer', async t => {
  await using source = new TestSource()
  await source.capture.prepare('job-1', ROOTS, [], soon())
  await source.capture.freeze(40, soon())
  t.ok(await source.capture.hold(200))
  const [freeze] = source.freezes
  await new Promise(resolve => { setTimeout(resolve, 150) })
  t.ok((freeze?.holds ?? 0) >= 4)
  await new Promise(resolve => { setTimeout(resolve, 100) })
  const holds = freeze?.holds
  await new Promise(resolve => { setTimeout(resolve, 60) })
  t.equal(freeze?.holds, holds, 'the watchdog thaws it now')
})

t.test('a frozen source is switched off by the kernel, frozen; when that does not do it, it thaws and is shut down in the ordinary way', async t => {
  await using source = new TestSource()
  await source.capture.prepare('job-1', ROOTS, [], soon())
  await source.capture.freeze(40, soon())
  const keys: string[] = []
  const { runner, ran } = notedRunner()
  const off = powerOffSystem(source.capture, { runner, log, sysrq: async key => { keys.push(key) }, offMs: 300 })
  await new Promise(resolve => { setTimeout(resolve, 150) })
  t.same(keys, ['s', 'o'])
  t.same(ran, [])
  t.equal(source.freezes[0]?.state, 'frozen')
  t.ok((source.freezes[0]?.holds ?? 0) >= 2, 'it holds itself meanwhile')
  await off
  t.equal(source.freezes[0]?.state, 'thawed')
  t.same(ran, ['systemctl poweroff'])
})

t.test('a source that is not frozen, or whose kernel refuses, is shut down in the ordinary way', async t => {
  await using source = new TestSource()
  const { runner, ran } = notedRunner()
  await powerOffSystem(source.capture, { runner, log, sysrq: async () => { t.fail('not without a freeze') } })
  await source.capture.prepare('job-1', ROOTS, [], soon())
  await source.capture.freeze(1000, soon())
  await powerOffSystem(source.capture, { runner, log, sysrq: async () => { throw new Error('EACCES') } })
  t.equal(source.freezes[0]?.state, 'thawed')
  t.same(ran, ['systemctl poweroff', 'systemctl poweroff'])
})

t.test('services are started again when the source thaws, but not when it is only frozen anew', async t => {
  const did: string[] = []
  const quiescer = {
    quiesce: async () => { did.push('stop'); return 1 }, finish: async () => { did.push('finish') },
    restore: async () => { did.push('start'); return [{ kind: 'services-started' as const, message: 'web' }] },
  }
  await using source = new TestSource({ quiescer })
  await source.capture.prepare('job-1', ROOTS, [], soon())
  did.length = 0
  await source.capture.quiesce({ scripts: [], services: ['web'] }, async () => undefined, soon())
  await source.capture.freeze(1000, soon())
  await source.capture.freeze(1000, soon())
  t.same(did, ['stop'])
  t.same(await source.capture.thaw(), [{ kind: 'services-started', message: 'web' }])
  t.same(did, ['stop', 'start'])
  await source.capture.freeze(1000, soon())
  source.freezes.at(-1)?.expire()
  t.same(did, ['stop', 'start', 'start'], 'the watchdog thawed it')
})
