/** What is special about capture by inotify: directories that come and move, the budget of watches, a lost queue, an agent without rights. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openInotifyChangeSource, type InotifyOptions } from '../../../src/capture/inotify-change-source.ts'
import type { Change, ChangeSource } from '../../../src/capture/change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { waitUntil } from '../../lab/process-identity.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

const signal = AbortSignal.timeout(120_000)
const ROOM_MS = 20_000
const UNPRIVILEGED = fileURLToPath(new URL('unprivileged-process.ts', import.meta.url))

async function open(path: string, options: Partial<InotifyOptions> = {}): Promise<ChangeSource> {
  return await openInotifyChangeSource({ volumes: new Map([[0, path]]), clock: systemClock, ...options }, signal)
}

const said = (changes: readonly Change[]): string[] => changes.map(change => `${change.kind} ${'path' in change ? change.path.toString() : ''}`).sort()

void t.test('directories that come are watched with all below them, and what was there before they were is marked', async t => {
  const root = t.testdir()
  await using source = await open(root)
  mkdirSync(join(root, 'a/b/c'), { recursive: true })
  writeFileSync(join(root, 'a/b/c/early'), '')
  t.ok(said(await source.take(signal)).includes('entry a'))
  writeFileSync(join(root, 'a/b/c/late'), '')
  t.same(said(await source.take(signal)), ['entry a/b/c/late'])
})

void t.test('what happens in directories that moved, changed places or came from outside has their new paths', async t => {
  const base = t.testdir({ volume: { a: { deep: {} }, b: { deep: {} }, out: {} }, outside: { from: { deep: {} } } })
  const root = join(base, 'volume')
  await using source = await open(root)
  renameSync(join(root, 'a'), join(root, 'moved'))
  writeFileSync(join(root, 'moved/deep/1'), '')
  execFileSync('python3', ['-c', 'import ctypes, sys; sys.exit(ctypes.CDLL(None).renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2))', join(root, 'b'), join(root, 'moved')])
  writeFileSync(join(root, 'b/deep/2'), '')
  renameSync(join(base, 'outside/from'), join(root, 'came'))
  renameSync(join(root, 'out'), join(base, 'outside/out'))
  await source.take(signal)
  writeFileSync(join(root, 'moved/deep/3'), '')
  writeFileSync(join(root, 'b/deep/4'), '')
  writeFileSync(join(root, 'came/deep/5'), '')
  writeFileSync(join(base, 'outside/out/6'), '')
  t.same(said(await source.take(signal)), ['entry b/deep/4', 'entry came/deep/5', 'entry moved/deep/3'])
})

void t.test('beyond the budget it says so, and has the whole compared at the interval and at every scan', async t => {
  const root = t.testdir({ a: {}, b: {}, c: {} })
  let now = Date.now()
  await using source = await open(root, { maxWatches: 2, rescanMs: 60_000, clock: { ...systemClock, now: () => now } })
  t.match(source.status().degraded, [{ kind: 'watch-missed' }])
  t.same(await source.take(signal), [])
  now += 60_001
  t.match(await source.take(signal), [{ kind: 'rescan', why: ['watch-missed'] }])
  for await (const page of source.changedSince(0, 0n, { frozen: false }, signal)) t.ok(page.length > 0)
  t.equal(source.pending().count, 0, 'a rescan under way asks for no other')
  t.same(await source.take(signal), [])
  for await (const page of source.changedSince(0, 0n, { frozen: false }, signal)) t.fail(`names are compared first, not ${String(page.length)} objects`)
  t.match(await source.take(signal), [{ kind: 'rescan', sinceMs: 0 }])
  // room is made: all is watched again
  rmSync(join(root, 'b'), { recursive: true })
  rmSync(join(root, 'c'), { recursive: true })
  // at the first interval after what the kernel tells of the room was read
  await waitUntil('all to be watched', ROOM_MS, async () => {
    now += 60_001
    await source.take(signal)
    return !source.status().degraded.some(({ kind }) => kind === 'watch-missed')
  })
})

void t.test('a queue of the kernel that ran over is a rescan, and directories that came unseen are watched afterwards', { skip: MOUNT_SKIP }, async t => {
  const limit = '/proc/sys/fs/inotify/max_queued_events'
  const before = execFileSync('cat', [limit], { encoding: 'utf8' })
  t.teardown(() => { writeFileSync(limit, before) })
  using volume = mountLoop('ext4', 64)
  writeFileSync(limit, '16')
  await using source = await open(volume.path)
  writeFileSync(limit, before)
  // too quick for the reading thread, mostly: more until it is so
  let changes: readonly Change[] = []
  for (let round = 0; round < 50 && !changes.some(({ kind }) => kind === 'rescan'); round++) {
    execFileSync('python3', ['-c', 'import os, sys\nfor n in range(400): os.makedirs(f"{sys.argv[1]}/{n}/d")', join(volume.path, `r${String(round)}`)])
    changes = await source.take(signal)
  }
  t.match(changes.find(({ kind }) => kind === 'rescan'), { why: ['events-lost'] })
  const round = changes.length
  t.ok(round > 0)
  writeFileSync(join(volume.path, 'r0/399/d/late'), '')
  t.ok(said(await source.take(signal)).includes('entry r0/399/d/late'))
})

void t.test('without CAP_SYS_ADMIN fanotify is refused when it is asked for, else inotify captures, which is tier C', { skip: MOUNT_SKIP }, t => {
  const root = t.testdir({ below: {} })
  const { stdout, stderr } = spawnSync('setpriv', ['--bounding-set=-sys_admin', process.execPath, UNPRIVILEGED, root], { encoding: 'utf8', env: { ...process.env, LANDFALL_LOG_LEVEL: 'fatal' } })
  t.equal(stderr, '')
  t.same(JSON.parse(stdout), { refused: 'CAPTURE_UNSUPPORTED', tiers: { auto: 'C', fanotify: 'none', inotify: 'C' }, changes: ['entry below/new'], walked: ['below/new'] })
  t.end()
})
