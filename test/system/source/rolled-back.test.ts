import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { differences } from '../../oracle.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { Protection, until } from './restarting.ts'

const signal = AbortSignal.timeout(300_000)

void t.test('a source whose disks are set back to an older image is compared whole, and the replica follows it back without a mirror', { skip: MOUNT_SKIP }, async t => {
  await using stack = new AsyncDisposableStack()
  const base = mkdtempSync(join(tmpdir(), 'landfall-rolled-back-'))
  stack.defer(() => { rmSync(base, { recursive: true, force: true }) })
  const volume = stack.use(mountLoop('ext4', 200))
  const target = stack.use(mountLoop('ext4', 200))
  const source = volume.path
  const replica = join(target.path, 'replica')
  mkdirSync(replica)
  const protection = stack.use(await Protection.open({ base, source, replica }, signal))
  const end = protection.keepRunning(stack)
  const [quiet, kept] = [join(source, 'quiet'), join(base, 'state', 'capture.json')]
  writeFileSync(quiet, 'before')
  writeFileSync(join(source, 'removed later'), 'x')
  protection.startAgent()
  await until('protection', () => protection.isProtecting)
  await protection.endAgent('SIGTERM')
  cpSync(kept, join(base, 'older.json'))
  const setBack = volume.snapshot()

  // what the replica gets now is not on the image: the same size under the same time, so that only the data tells
  const { atime, mtime } = statSync(quiet)
  protection.startAgent()
  await until('protection again', () => protection.isProtecting)
  writeFileSync(quiet, 'after!')
  utimesSync(quiet, atime, mtime)
  rmSync(join(source, 'removed later'))
  writeFileSync(join(source, 'made later'), 'y')
  await until('the change on the replica', () => readFileSync(join(replica, 'quiet'), 'utf8') === 'after!')
  await protection.endAgent('SIGTERM')
  t.notOk(protection.seen.has('volume-rolled-back'), 'an agent that only stops was not set back')

  setBack()
  cpSync(join(base, 'older.json'), kept)
  protection.startAgent()
  await until('protection after it was set back', () => protection.isProtecting)
  t.ok(protection.seen.has('volume-rolled-back'))
  t.equal(readFileSync(join(replica, 'quiet'), 'utf8'), 'before')
  await protection.endAgent('SIGKILL')
  protection.seen.clear()
  protection.startAgent()
  await until('protection after a crash', () => protection.isProtecting)
  t.notOk(protection.seen.has('volume-rolled-back'), 'it is over')
  await end()
  await protection.drain(signal)
  t.same(await differences(source, replica), [])
  t.equal(protection.mirrors, 1)
})
