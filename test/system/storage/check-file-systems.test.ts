import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/clock/clock.ts'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { checkFileSystems } from '../../../src/storage/check-file-systems.ts'
import { MOUNT_SKIP } from '../../zoo/loop-file-system.ts'

const signal = AbortSignal.timeout(120_000)

/** Disks that are file systems as a whole, the larger ones first; they go away with `stack`. */
function disks(t: Test, stack: DisposableStack, sizesMiB: readonly number[]): string[] {
  const place = t.testdir()
  return sizesMiB.map((size) => {
    const image = join(place, String(size))
    execFileSync('truncate', ['-s', `${String(size)}M`, image])
    execFileSync('mkfs.ext4', ['-q', image])
    return stack.adopt(execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim(), (device) => { execFileSync('losetup', ['--detach', device]) })
  })
}

t.test('where the time is short the smallest are checked, and those that took longer are named, not called sound or damaged', { skip: MOUNT_SKIP }, async t => {
  using stack = new DisposableStack()
  const [large = '', damaged = '', slow = '', small = ''] = disks(t, stack, [96, 32, 64, 16])
  execFileSync('debugfs', ['-w', '-R', 'clri <11>', damaged], { stdio: 'ignore' })
  // it hangs with one of them, as a check of terabytes would
  const program = join(t.testdir({ 'e2fsck': '' }), 'e2fsck')
  writeFileSync(program, `#!/bin/sh\n[ "$4" != ${slow} ] || exec sleep 60\nexec /sbin/e2fsck "$@"\n`)
  chmodSync(program, 0o755)
  const parts = { runner: new ExecaRunner({ e2fsck: program }), clock: systemClock, stateDirectory: t.testdirName }
  const all = [large, damaged, slow, small]
  const checked = await checkFileSystems(parts, 'job-1', all, { crashed: false, withinMs: 5000 }, signal)
  t.same(checked.unchecked, [`ext4 on ${slow}`, `ext4 on ${large}`])
  t.match(checked.damaged, [new RegExp(`^ext4 on ${damaged} has errors: `)])
  t.equal(checked.damaged.length, 1)
  t.same((await checkFileSystems(parts, 'job-1', all, { crashed: false, withinMs: 0 }, signal)), { damaged: [], unchecked: [small, damaged, slow, large].map(device => `ext4 on ${device}`) })
})

t.test('without a limit all are checked', { skip: MOUNT_SKIP }, async t => {
  using stack = new DisposableStack()
  const all = disks(t, stack, [16, 32])
  const parts = { runner: new ExecaRunner(), clock: systemClock, stateDirectory: t.testdirName }
  t.same(await checkFileSystems(parts, 'job-1', all, { crashed: false, withinMs: undefined }, signal), { damaged: [], unchecked: [] })
})
