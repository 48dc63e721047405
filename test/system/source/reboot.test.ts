import { chmodSync, closeSync, existsSync, linkSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { isMirrorRequired, type DegradationKind } from '../../../src/domain/degradation.ts'
import { differences } from '../../oracle.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { Protection, until } from './restarting.ts'

const MIB = 1024 * 1024
const BIG_BYTES = 128 * MIB
const signal = AbortSignal.timeout(300_000)

/** As after a start of the machine: another boot, whose monotonic clock began anew. */
function becomeAnotherBoot(base: string): void {
  const path = join(base, 'state', 'capture.json')
  const kept = JSON.parse(readFileSync(path, 'utf8')) as { bootId: string, clock: { wallMs: number, monotonicMs: number } }
  writeFileSync(path, JSON.stringify({ ...kept, bootId: 'the boot before', clock: { ...kept.clock, monotonicMs: kept.clock.monotonicMs - 1e9 } }))
}

function isRequired(kinds: readonly DegradationKind[]): boolean {
  return isMirrorRequired(kinds.map(kind => ({ kind, sinceMs: 0 })))
}

function overwrite(path: string, at: number, text: string): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, text, at)
  closeSync(fd)
}

/** Changes of every kind, of which each is looked at by another way. */
function changeAll(source: string, round: string): void {
  const of = join(source, round)
  rmSync(join(of, 'removed'))
  renameSync(join(of, 'directory'), join(of, 'renamed directory'))
  chmodSync(join(of, 'mode'), 0o600)
  writeFileSync(join(of, 'new'), round)
  overwrite(join(of, 'medium'), 3 * MIB, 'a little of much')
  overwrite(join(of, 'two names'), 0, 'through the one')
  // same size, same modification time, other data
  const quiet = join(of, 'quiet')
  const before = statSync(quiet)
  writeFileSync(quiet, 'XX')
  utimesSync(quiet, before.atime, before.mtime)
}

for (const [type, rounds] of [['ext4', ['reboot', 'power loss']], ['xfs', ['power loss']]] as const) {
  void t.test(`after a ${rounds.join(' and a ')} of an ${type} source a mirror is required until what changed is on the replica; what did not change is not read`, { skip: MOUNT_SKIP }, async t => {
    await using stack = new AsyncDisposableStack()
    const base = mkdtempSync(join(tmpdir(), 'landfall-reboot-'))
    stack.defer(() => { rmSync(base, { recursive: true, force: true }) })
    const volume = stack.use(mountLoop(type, 400))
    const target = stack.use(mountLoop(type, 400))
    const source = volume.path
    const replica = join(target.path, 'replica')
    mkdirSync(replica)
    const protection = stack.use(await Protection.open({ base, source, replica }, signal))
    const end = protection.keepRunning(stack)
    writeFileSync(join(source, 'big'), Buffer.alloc(BIG_BYTES, 9))
    for (const round of rounds) {
      mkdirSync(join(source, round, 'directory', 'below'), { recursive: true })
      for (const name of ['removed', 'mode', 'quiet', 'directory/below/file']) writeFileSync(join(source, round, name), 'xx')
      writeFileSync(join(source, round, 'medium'), Buffer.alloc(4 * MIB, 7))
      writeFileSync(join(source, round, 'two names'), Buffer.alloc(64 * 1024, 8))
      linkSync(join(source, round, 'two names'), join(source, round, 'directory', 'the other'))
    }
    protection.startAgent()
    await until('protection', () => protection.isProtecting)
    for (const round of rounds) {
      const unflushed = join(source, `unflushed before the ${round}`)
      writeFileSync(unflushed, 'it is on the replica, and perhaps not on the disk of the source')
      await until('what is not flushed on the replica', () => existsSync(join(replica, `unflushed before the ${round}`)))
      await protection.endAgent(round === 'reboot' ? 'SIGTERM' : 'SIGKILL')
      if (round === 'reboot') {
        changeAll(source, round)
        volume.reboot(() => { becomeAnotherBoot(base) })
      } else {
        await volume.powerLoss(async () => { becomeAnotherBoot(base) })
        changeAll(source, round)
      }
      protection.startAgent()
      await until(`protection after the ${round}`, () => protection.isProtecting)
      t.same(await differences(source, replica), [], 'when nothing is required any more the replica follows')
      t.same(protection.shown[0], ['source-rebooted'], 'before anything is done')
      const required = protection.shown.map(isRequired)
      t.notOk(required.includes(true, required.indexOf(false)), 'it is over once')
      t.ok(protection.bytesRead < BIG_BYTES / 2, `${String(protection.bytesRead)} bytes were read after the ${round}`)
    }
    t.ok(protection.bytesSent < MIB, `${String(protection.bytesSent)} bytes were sent`)
    t.equal(protection.mirrors, 1)
    await end()
    await protection.drain(signal)
    t.same(await differences(source, replica), [])
  })
}
