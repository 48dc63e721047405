import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Change } from '../../../src/capture/change-source.ts'
import { createMemoryChangeSource } from '../../../src/capture/memory-change-source.ts'
import { parseRelPath, ROOT_PATH } from '../../../src/domain/rel-path.ts'
import { continuation } from '../../../src/source/continuation.ts'
import { CaptureFile, changeOfKept, keptChange, type KeptCapture } from '../../../src/source/kept-capture.ts'
import { at, change, contentOf, file, ROOTS, soon, TestSource } from './conversation.ts'
import { CaptureKeeper, type KeeperSeams } from '../../../src/source/capture-keeper.ts'
import { agentLog } from '../../../src/logging/logger.ts'

const PATH = parseRelPath(Buffer.from([0x61, 0x2f, 0xff]))
const CHANGES: readonly Change[] = [
  { kind: 'entry', volume: 1, path: PATH, atMs: 5 }, { kind: 'metadata', volume: 1, path: ROOT_PATH, atMs: 6 },
  { kind: 'data', volume: 1, path: PATH, object: { inode: 2n ** 60n, linkCount: 2 }, atMs: 7 }, { kind: 'object', volume: 1, inode: 9n, atMs: 8 },
  { kind: 'rescan', volume: 1, sinceMs: 3, atMs: 4, why: ['events-lost'] },
]
const KEPT: KeptCapture = { version: 1, jobId: 'j', roots: ROOTS, rules: [], identities: ['i'], epoch: 'e', bootId: 'b', safeMs: 1000, clock: { wallMs: 5000, monotonicMs: 100 }, count: 3 }
const NOW = { bootId: 'b', clock: { wallMs: 6000, monotonicMs: 1100 }, identities: ['i'] }

t.test('what is kept is read back as it was, paths that are no text included', async t => {
  const file = new CaptureFile(t.testdir({}))
  t.equal(await file.read(), undefined)
  await file.write({ ...KEPT, stopped: { atMs: 4000, changes: CHANGES.map(keptChange) } })
  const kept = await file.read()
  t.same(kept?.stopped?.changes.map(changeOfKept), CHANGES)
  await file.forget()
  t.equal(await file.read(), undefined)
})

t.test('a damaged file is as good as none', async t => {
  const base = t.testdir({})
  for (const text of ['', '{"version":1', '{"version":2}', JSON.stringify({ ...KEPT, safeMs: 'x' })]) {
    writeFileSync(join(base, 'capture.json'), text)
    t.equal(await new CaptureFile(base).read(), undefined)
  }
})

t.test('an orderly stop is gone on with from the stop, a crash from what was durable', t => {
  const stopped = { ...KEPT, stopped: { atMs: 4000, changes: CHANGES.map(keptChange) } }
  t.match(continuation(stopped, KEPT, NOW), { sinceMs: 4000, safeMs: 1000, missed: [{ kind: 'rescan', sinceMs: 4000, why: ['agent-stopped'] }, ...CHANGES] })
  t.match(continuation(KEPT, KEPT, NOW), { sinceMs: 1000, missed: [{ kind: 'rescan', sinceMs: 1000, why: ['agent-crashed'] }] })
  t.match(continuation(stopped, KEPT, { ...NOW, bootId: 'another' }), { sinceMs: 1000, missed: [{ why: ['source-rebooted'] }, ...CHANGES] }, 'what was not synced may be gone')
  t.match(continuation(KEPT, KEPT, { ...NOW, bootId: 'another' }), { sinceMs: 1000, missed: [{ why: ['source-rebooted'] }] })
  t.end()
})

t.test('a clock that was set back meanwhile counts, and another file system is compared whole', t => {
  t.match(continuation(KEPT, KEPT, { ...NOW, clock: { wallMs: 3000, monotonicMs: 1100 } }), { sinceMs: -2000, safeMs: -2000, missed: [{ why: ['agent-crashed', 'clock-set-back'] }] })
  const replaced = continuation({ ...KEPT, stopped: { atMs: 4000, changes: CHANGES.map(keptChange) } }, KEPT, { ...NOW, identities: ['another'] })
  t.match(replaced, { safeMs: 0, missed: [{ kind: 'rescan', sinceMs: 0, why: ['agent-stopped', 'volume-replaced'] }] })
  t.equal(replaced?.missed.length, 1, 'the changes were of the file system that is gone')
  t.end()
})

t.test('what another job, other volumes or other rules captured is not gone on with', t => {
  t.equal(continuation(KEPT, { ...KEPT, jobId: 'k' }, NOW), undefined)
  t.equal(continuation(KEPT, { ...KEPT, roots: [{ index: 1, path: '/srv' }] }, NOW), undefined)
  t.equal(continuation(KEPT, { ...KEPT, rules: [{ kind: 'exclude', pattern: '*.tmp', recursive: true }] }, NOW), undefined)
  t.end()
})

t.test('an agent that stops in order is believed once, and what it had not brought to safety goes on', async t => {
  const base = t.testdir({})
  const seams = (): KeeperSeams => ({ file: new CaptureFile(base), bootId: 'b', readClock: () => ({ wallMs: Date.now(), monotonicMs: Date.now() - 1000 }), identify: async () => 'i', log: agentLog.child({}, { level: 'silent' }) })
  const onDisk = (): { stopped?: { changes: unknown[] } } => JSON.parse(readFileSync(join(base, 'capture.json'), 'utf8')) as { stopped?: { changes: unknown[] } }
  const first = new TestSource({ keeper: new CaptureKeeper(seams()) })
  await change(first.tree, file('a', 'x'))
  const { epoch } = (await first.capture.prepare('j', ROOTS, [], soon())).changes
  await first.capture.protect()
  t.equal(onDisk().stopped, undefined)
  first.changes.mark({ kind: 'entry', volume: 1, path: at('a'), atMs: 7 })
  await first[Symbol.asyncDispose]()
  t.equal(onDisk().stopped?.changes.length, 1)

  const second = new TestSource({ keeper: new CaptureKeeper(seams()), openChanges: async () => createMemoryChangeSource({ epoch: 'epoch-2' }) })
  await second.capture.resume(soon())
  t.equal(second.capture.epoch, epoch)
  t.equal(onDisk().stopped, undefined, 'a crash from here on must not believe it')
  const { changes } = await second.capture.prepare('j', ROOTS, [], soon())
  t.same(changes.status().degraded.map(({ kind }) => kind), ['agent-stopped'])
  t.ok((await changes.take(soon())).some(one => one.kind === 'entry'))
  await second.capture.release()
  await second[Symbol.asyncDispose]()
  t.equal(await new CaptureFile(base).read(), undefined, 'a job that let go leaves nothing')
  t.same(await contentOf(first.tree), { a: 'x' })
})
