/** Mounts that come and go while changes are captured. */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import type { ChangeSource } from '../../../src/capture/change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { watchedMounts } from '../../../src/source/watched-mounts.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

const signal = AbortSignal.timeout(60_000)
const run = (tool: string, ...args: string[]): string => execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const deviceOf = (path: string): string => run('findmnt', '-nvo', 'SOURCE', path).trim()

async function open(path: string): Promise<ChangeSource> {
  const volumes = new Map([[4, path]])
  return await watchedMounts(await openFanotifyChangeSource({ volumes, clock: systemClock }, signal), { volumes, root: '/', clock: systemClock })
}

const shown = (source: ChangeSource): string[] => source.status().degraded.map(({ kind, volume, subject }) => `${kind} ${String(volume)} ${subject ?? ''}`).sort()

void t.test('what is mounted below a volume is shown and looked at again, and a file system that no job has is shown', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 64)
  const at = join(volume.path, 'below')
  mkdirSync(at)
  await using source = await open(volume.path)
  await source.take(signal)
  t.same(shown(source), [])
  {
    using other = mountLoop('ext4', 64)
    run('mount', deviceOf(other.path), at)
    try {
      t.match(await source.take(signal), [{ kind: 'metadata', volume: 4 }])
      t.ok(shown(source).includes(`mount-changed 4 ${at}`))
      t.ok(shown(source).some(one => one.startsWith('volume-new')))
    } finally {
      run('umount', at)
    }
  }
  await source.take(signal)
  t.notOk(shown(source).some(one => one.startsWith('volume-new') && one.includes('landfall-ext4')), 'it is gone again')
})

void t.test('a volume that was unmounted ends the capture with its name, one that was replaced asks for a new mirror', { skip: MOUNT_SKIP }, async t => {
  const base = t.testdir({ volume: {} })
  const path = join(base, 'volume')
  using first = mountLoop('ext4', 64)
  using second = mountLoop('ext4', 64)
  run('mount', deviceOf(first.path), path)
  await using source = await open(path)
  await source.take(signal)
  run('umount', '-l', path)
  await t.rejects(source.take(signal), { code: 'SOURCE_MISSING', message: /was unmounted/ })
  await t.rejects(source.take(signal), { code: 'SOURCE_MISSING' }, 'as long as it is so')
  t.ok(shown(source).includes('volume-replaced 4 '))
  run('mount', deviceOf(second.path), path)
  await t.rejects(source.take(signal), { code: 'CAPTURE_OVERFLOW', message: /another file system/ })
  run('umount', path)
  run('mount', deviceOf(first.path), path)
  try {
    await source.take(signal)
    t.notOk(shown(source).some(one => one.startsWith('volume-replaced')), 'the same file system again: it goes on')
  } finally {
    run('umount', path)
  }
})
