/** What a capture does when more is marked than it may give, or keep, at once. */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import type { Change, ChangeSource } from '../../src/capture/change-source.ts'
import { openFanotifyChangeSource } from '../../src/capture/fanotify-change-source.ts'
import { openInotifyChangeSource } from '../../src/capture/inotify-change-source.ts'
import { systemClock } from '../../src/clock/clock.ts'
import { MOUNT_SKIP, mountLoop } from '../zoo/loop-file-system.ts'

const signal = AbortSignal.timeout(120_000)
const CAPTURES = { fanotify: openFanotifyChangeSource, inotify: openInotifyChangeSource }

/** The parts of one taking. */
async function parts(source: ChangeSource): Promise<Change[][]> {
  const all: Change[][] = []
  do all.push([...await source.take(signal)])
  while (source.hasMore())
  return all
}
const pathOf = (change: Change): string => 'path' in change ? change.path.toString() : change.kind

for (const [name, open] of Object.entries(CAPTURES)) {
  t.test(`${name} gives what is too much for one part in several, a directory before what is in it`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop('ext4', 64)
    for (const at of ['z', 'z/deep', 'a']) mkdirSync(join(volume.path, at))
    await using source = await open({ volumes: new Map([[5, volume.path]]), clock: systemClock, limitBytes: 64_000 }, signal)
    const most = source.partSize
    t.ok(most > 5 && most < 30, `parts of ${String(most)}`)
    // made below a name that sorts last, and moved below one that sorts first: by now it is there
    mkdirSync(join(volume.path, 'z/deep/made'))
    for (let n = 0; n < 2 * most; n++) writeFileSync(join(volume.path, 'z/deep/made', `f${String(n)}`), 'x')
    renameSync(join(volume.path, 'z/deep/made'), join(volume.path, 'a/moved'))
    for (let n = 0; n < 5; n++) mkdirSync(join(volume.path, `a/moved/d${String(n)}`))
    // what happened is among the marks when this resolves
    await source.peek(signal)
    t.ok(source.pending().count > 2 * most)
    t.ok(source.status().queueBytes > 2 * most * 90, `${String(source.status().queueBytes)} bytes`)

    const first = await source.take(signal)
    t.ok(first.length <= most && source.hasMore())
    t.same(source.moves(), [], 'nothing is certain to have moved')
    t.match(await source.peek(signal), [{ kind: 'rescan' }], 'what is left is not told one by one')
    const left = source.pending().count
    t.ok(left > most / 2, `${String(left)} are left`)
    writeFileSync(join(volume.path, 'late'), '')
    const rest = await parts(source)
    t.ok(rest.length > 1 && rest.every(part => part.length <= most))
    const all = [first, ...rest].flatMap((part, number) => part.map(change => ({ number, path: pathOf(change), kind: change.kind })))
    const made = all.find(({ path, kind }) => path === 'a/moved' && kind === 'entry')
    t.equal(all.filter(({ path, kind }) => path.startsWith('a/moved/') && kind === 'entry').length, 2 * most + 5)
    t.ok(all.every(({ path, number }) => !path.startsWith('a/moved/') || number >= (made?.number ?? Infinity)))
    t.notOk(all.some(({ path }) => path === 'late'), 'what came meanwhile is for the next taking')
    t.same((await parts(source)).flat().map(pathOf).filter(path => path !== ''), ['late'])
    t.same(source.pending(), { count: 0, oldestAtMs: undefined })
    t.equal(source.status().queueBytes, 0)
  })

  t.test(`${name} gives what was put back in parts, too, and then what was marked`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop('ext4', 64)
    await using source = await open({ volumes: new Map([[5, volume.path]]), clock: systemClock, limitBytes: 64_000 }, signal)
    const names = Array.from({ length: source.partSize * 2 }, (_, n) => `f${String(n)}`)
    for (const at of names) writeFileSync(join(volume.path, at), '')
    const taken = (await parts(source)).flat()
    source.putBack(taken)
    writeFileSync(join(volume.path, 'new'), '')
    const again = await parts(source)
    t.ok(again.length > 2 && again.every(part => part.length <= source.partSize))
    t.same([...new Set(again.flat().filter(({ kind }) => kind === 'entry').map(pathOf))].sort(), [...names, 'new'].sort())
  })

  t.test(`${name} says "rescan" where it is too much to keep, why, and until it was taken`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop('ext4', 64)
    await using source = await open({ volumes: new Map([[5, volume.path]]), clock: systemClock, limitBytes: 32_000 }, signal)
    const before = Date.now()
    for (let n = 0; n < 1000; n++) writeFileSync(join(volume.path, `f${String(n)}`), '')
    t.ok(source.status().queueBytes < 32_000)
    const rescan = (await parts(source)).at(-1)?.find(({ kind }) => kind === 'rescan')
    t.match(rescan, { volume: 5, why: ['queue-full'] })
    t.ok(rescan?.kind === 'rescan' && rescan.sinceMs >= before - 5 && rescan.sinceMs <= Date.now())
    t.same(source.status().degraded, [])
    t.same((await parts(source)).flat(), [])
  })
}

t.test('ranges get coarser, then files whole, and it says so until they were taken', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 200)
  const name = join(volume.path, 'big')
  writeFileSync(name, Buffer.alloc(60 * 1024 * 1024))
  await using source = await openFanotifyChangeSource({ volumes: new Map([[5, volume.path]]), clock: systemClock, limitBytes: 100_000 }, signal)
  const kinds = (): string[] => source.status().degraded.map(({ kind }) => kind).sort()
  // the trace is read ten times a second, and by a taking
  const shown = async (kind: string): Promise<boolean> => {
    for (let tries = 0; tries < 100 && !kinds().includes(kind); tries++) await pause(100)
    return kinds().includes(kind)
  }
  writeEverySeventh(name)
  const [data] = (await parts(source)).flat().filter(({ kind }) => kind === 'data')
  const ranges = data?.kind === 'data' ? data.ranges : undefined
  t.comment(ranges === undefined ? 'this kernel tells no ranges' : 'traced')
  if (ranges === undefined) return
  const written = Array.from({ length: 2000 }, (_, n) => n * 7 * 4096)
  t.same(written.filter(at => !ranges.some(({ offset, lengthBytes }) => offset <= at && offset + lengthBytes >= at + 7)), [])
  t.ok(ranges.length < 1000, `${String(ranges.length)} ranges`)
  t.same(kinds(), [])
  writeEverySeventh(name)
  t.ok(await shown('ranges-coarse'))
  // not so many that they are given up
  for (let n = 0; n < 130; n++) writeFileSync(join(volume.path, `f${String(n)}`), Buffer.alloc(20_000))
  t.ok(await shown('files-whole'))
  const all = (await parts(source)).flat()
  t.ok(all.some(({ kind }) => kind === 'rescan') || all.some(change => pathOf(change) === 'big'))
  t.same(kinds(), [], 'it is over')
})

/** Clean pages that become dirty: only these are traced. */
function writeEverySeventh(name: string): void {
  const file = openSync(name, 'r+')
  fsyncSync(file)
  for (let n = 0; n < 2000; n++) writeSync(file, 'changed', n * 7 * 4096)
  closeSync(file)
}
