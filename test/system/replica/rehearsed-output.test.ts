/** What a rehearsal made is used only while everything that it was made from is as it was. */
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../../src/clock/clock.ts'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import type { FixUpResult } from '../../../src/domain/replica.ts'
import { isAsRehearsed, keepRehearsed, useRehearsed, type RehearsedParts } from '../../../src/replica/rehearsed-output.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { mounted } from './layered-volumes.ts'

const SKIP = process.getuid?.() === 0 ? false : 'needs root'
const BEFORE: readonly FixUpResult[] = [{ id: 'C08', title: 'x', required: true, outcome: 'done', messages: [], durationMs: 5, changed: [{ path: '/etc/fstab', before: 'a', after: 'b' }, { path: '/var/lib/x', before: '', after: 'c' }] }]

/** As if nothing had been changed for long. */
const LATER: Clock = { now: () => Date.now() + 3_600_000, sleep: async () => { await Promise.resolve() } }

interface Replica { base: string, view: string, parts: RehearsedParts, files: ReplicaFiles, signal: AbortSignal, rehearse: (meanwhile?: () => void, clock?: Clock) => Promise<void>, use: (before?: readonly FixUpResult[]) => Promise<readonly string[] | undefined> }

/** A replica, and beside it what a layer over it shows. */
async function replica(t: Test): Promise<Replica> {
  const tree = () => ({ boot: { image: 'old' }, etc: { hosts: 'h' }, usr: { bin: { tool: 't' }, lib: {} }, var: { log: { messages: 'm' }, cache: { tool: { db: 'd' } } } })
  const root = t.testdir({ base: tree(), view: tree() })
  const [base, view] = [join(root, 'base'), join(root, 'view')]
  symlinkSync('usr/bin', join(base, 'bin'))
  const signal = AbortSignal.timeout(60_000)
  const files = await ReplicaFiles.open(view)
  t.teardown(async () => { await files[Symbol.asyncDispose]() })
  const parts: RehearsedParts = { runner: new ExecaRunner(), directory: join(root, 'kept/C15'), mounted: [mounted(base, '/')], request: { plan: { x: 1 }, workload: {}, options: {} }, from: ['/var/cache/tool'] }
  return {
    base, view, parts, files, signal,
    rehearse: async (meanwhile, clock = LATER) => {
      await keepRehearsed(parts, BEFORE, files, clock, async () => {
        meanwhile?.()
        for (const [name, text] of [['boot/image', 'new'], ['usr/lib/new/state', 's']] as const) {
          mkdirSync(join(view, name, '..'), { recursive: true })
          writeFileSync(join(view, name), text, { mode: 0o600 })
        }
        return await Promise.resolve({ messages: ['made'], changed: ['/boot', '/boot/image', '/usr/lib', '/usr/lib/new', '/usr/lib/new/state', '/boot/lost'].map(path => ({ path, before: '', after: '' })) })
      }, signal)
      rmSync(join(view, 'usr/lib/new'), { recursive: true })
      writeFileSync(join(view, 'boot/image'), 'old')
      writeFileSync(join(view, 'boot/lost'), 'x')
    },
    use: async (before = BEFORE) => await useRehearsed(parts, before, files, signal),
  }
}

t.test('what was made is used again: files with their modes, new directories, and what was taken away', { skip: SKIP }, async t => {
  const { base, view, rehearse, use, parts, signal } = await replica(t)
  t.equal(await use(), undefined, 'nothing was rehearsed')
  await rehearse()
  writeFileSync(join(base, 'var/log/messages'), 'n')
  t.ok(await isAsRehearsed(parts, signal), 'what does not belong to the system may change')
  t.same(await use(), ['made', 'as the rehearsal made it: no file of the system was changed since'])
  t.equal(readFileSync(join(view, 'boot/image'), 'utf8') + readFileSync(join(view, 'usr/lib/new/state'), 'utf8'), 'news')
  t.equal(statSync(join(view, 'usr/lib/new/state')).mode & 0o777, 0o600)
  t.throws(() => statSync(join(view, 'boot/lost')), { code: 'ENOENT' })
  t.same(await use([{ ...BEFORE[0] as FixUpResult, durationMs: 77, changed: [{ path: '/etc/fstab', before: 'z', after: 'b' }, { path: '/var/lib/x', before: '', after: 'other' }] }]).then(messages => messages?.[0]), 'made', 'what does not belong to the system is not asked')
})

const CHANGES: readonly (readonly [string, (r: Replica) => void])[] = [
  ['a file of the system was written to, though it has its old time and size', ({ base }) => { const { atime, mtime } = statSync(join(base, 'etc/hosts')); writeFileSync(join(base, 'etc/hosts'), 'i'); utimesSync(join(base, 'etc/hosts'), atime, mtime) }],
  ['a program is there that was not', ({ base }) => { writeFileSync(join(base, 'usr/bin/hook'), '') }],
  ['a directory of the system is a link to elsewhere', ({ base }) => { mkdirSync(join(base, 'srv')); renameSync(join(base, 'boot'), join(base, 'srv/boot')); symlinkSync('srv/boot', join(base, 'boot')) }],
  ['a directory was changed that it is made from, too', ({ base }) => { writeFileSync(join(base, 'var/cache/tool/db'), 'e') }],
  ['such a directory is a link', ({ base }) => { rmSync(join(base, 'var/cache'), { recursive: true }); symlinkSync('../srv', join(base, 'var/cache')) }],
  ['such a directory is gone', ({ base }) => { rmSync(join(base, 'var/cache'), { recursive: true }) }],
  ['the replica is made for other hardware', ({ parts }) => { parts.request = { ...parts.request, plan: { x: 2 } } }],
]

for (const [what, change] of CHANGES) {
  t.test(`it is made anew when ${what}`, { skip: SKIP }, async t => {
    const r = await replica(t)
    await r.rehearse()
    change(r)
    t.equal(await r.use(), undefined)
    t.notOk(await isAsRehearsed(r.parts, r.signal))
    t.equal(readFileSync(join(r.view, 'boot/image'), 'utf8'), 'old', 'and nothing was changed')
  })
}

t.test('it is made anew when a fix-up before it did otherwise, or what was kept is damaged', { skip: SKIP }, async t => {
  const r = await replica(t)
  await r.rehearse()
  t.equal(await r.use([{ ...BEFORE[0] as FixUpResult, changed: [{ path: '/etc/fstab', before: 'a', after: 'other' }] }]), undefined)
  truncateSync(join(r.parts.directory, '1'), 0)
  t.equal(await r.use(), undefined)
  writeFileSync(join(r.parts.directory, 'record.json'), '{')
  t.equal(await r.use(), undefined)
  t.equal(readFileSync(join(r.view, 'boot/image'), 'utf8'), 'old')
})

t.test('nothing is kept when the system changes during the rehearsal, changed just before it, or the fix-up fails', { skip: SKIP }, async t => {
  const r = await replica(t)
  await r.rehearse(() => { writeFileSync(join(r.base, 'etc/new'), '') })
  t.equal(await r.use(), undefined)
  await r.rehearse(undefined, { now: () => Date.now(), sleep: async () => { await Promise.resolve() } })
  t.equal(await r.use(), undefined, 'another change might have the same time')
  await r.rehearse(undefined, systemClock)
  t.ok(await r.use(), 'it is waited for')
  const failed = await keepRehearsed(r.parts, BEFORE, r.files, LATER, async () => await Promise.resolve({ messages: ['no'], changed: [], error: new Error('no') }), r.signal)
  t.match(failed, { messages: ['no'] })
  t.equal(await r.use(), undefined, 'and what an earlier one made is forgotten')
})

t.test('a rehearsal does not fail because what it made cannot be kept, or the system cannot be looked at', { skip: SKIP }, async t => {
  const r = await replica(t)
  const real = new ExecaRunner()
  for (const tool of ['cp', 'find'] as const) {
    r.parts.runner = { run: async (...call) => (call[0] === tool ? await real.run('find', ['/nowhere/at/all'], { ...call[2], allowedExitCodes: tool === 'find' ? [1] : [] }) : await real.run(...call)) }
    await r.rehearse()
    r.parts.runner = real
    t.equal(await r.use(), undefined, tool)
  }
})
