import { execFileSync } from 'node:child_process'
import { appendFileSync, linkSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, utimesSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../src/clock/clock.ts'
import { differences } from '../../oracle.ts'
import { randomNumbers } from '../../race/random-numbers.ts'
import { MOUNT_SKIP, mountLoop, type LoopType } from '../../zoo/loop-file-system.ts'
import { churn } from '../replication/churn.ts'
import { Protection, until } from './restarting.ts'
import { SEED } from '../../seed.ts'

const ROUNDS = Number(process.env['INTERRUPTIONS'] ?? 6)
const MIB = 1024 * 1024
const BIG_BYTES = 192 * MIB
const signal = AbortSignal.timeout(1_000_000)

async function churned(directory: string, seed: number, operations: number): Promise<void> {
  await using changes = churn(directory, seed, operations, 0)
  // the other churn of the directory may cut a file off under its mapping, which ends it
  await Promise.allSettled([changes.done])
}

interface World extends AsyncDisposable { source: string, replica: string, protection: Protection, end: () => Promise<void> }

async function world(type: LoopType): Promise<World> {
  const stack = new AsyncDisposableStack()
  const base = mkdtempSync(join(tmpdir(), 'landfall-restart-'))
  stack.defer(() => { rmSync(base, { recursive: true, force: true }) })
  const source = stack.use(mountLoop(type, 900))
  const target = stack.use(mountLoop(type, 900))
  const replica = join(target.path, 'replica')
  mkdirSync(replica)
  const protection = stack.use(await Protection.open({ base, source: source.path, replica }, signal))
  const end = protection.keepRunning(stack)
  return {
    source: source.path, replica, protection,
    end: async () => {
      await end()
      await protection.drain(signal)
    },
    [Symbol.asyncDispose]: async () => { await stack.disposeAsync() },
  }
}

/** A file with data that nobody can skip by its holes. */
function writeBig(path: string): void {
  for (let at = 0; at < BIG_BYTES; at += 16 * MIB) appendFileSync(path, Buffer.alloc(16 * MIB, at / MIB + 1))
}

for (const type of ['ext4', 'xfs'] as const) {
  void t.test(`an agent that is killed or stopped again and again loses nothing on ${type} and needs no mirror (seed ${String(SEED)})`, { skip: MOUNT_SKIP }, async t => {
    await using it = await world(type)
    const { source, protection } = it
    const next = randomNumbers(SEED)
    mkdirSync(join(source, 'churned'))
    await churned(join(source, 'churned'), SEED, 300)
    protection.startAgent()
    await until('protection', () => protection.isProtecting)
    await using writer = churn(join(source, 'churned'), SEED + 1, 1_000_000, 100)
    for (let round = 0; round < ROUNDS; round++) {
      await systemClock.sleep(next(1500), signal)
      const how = next(2) === 0 ? 'SIGKILL' : 'SIGTERM'
      await protection.endAgent(how)
      await churned(join(source, 'churned'), SEED + 100 + round, 150)
      const gone = join(source, `gone ${String(round)}`)
      writeFileSync(gone, how)
      protection.startAgent()
      await until(`protection after ${how} in round ${String(round)}`, () => protection.isProtecting)
      rmSync(gone)
    }
    await writer[Symbol.asyncDispose]()
    await it.end()
    t.same(await differences(source, it.replica), [])
    t.equal(protection.mirrors, 1)
  })
}

void t.test('what did not change is neither read nor sent again after an orderly stop and after a crash, hard links neither', { skip: MOUNT_SKIP }, async t => {
  await using it = await world('ext4')
  const { source, protection } = it
  writeBig(join(source, 'big'))
  writeBig(join(source, 'linked'))
  linkSync(join(source, 'linked'), join(source, 'linked too'))
  protection.startAgent()
  await until('protection', () => protection.isProtecting)
  for (const how of ['SIGTERM', 'SIGKILL'] as const) {
    await protection.endAgent(how)
    writeFileSync(join(source, how), 'small')
    protection.startAgent()
    await until(`protection after ${how}`, () => protection.isProtecting)
    t.ok(protection.bytesRead < BIG_BYTES / 2, `${String(protection.bytesRead)} bytes were read after ${how}`)
  }
  t.ok(protection.bytesSent < MIB, `${String(protection.bytesSent)} bytes were sent`)
  await it.end()
  t.same(await differences(source, it.replica), [])
})

void t.test('what was removed, renamed, and changed under its old time while no agent ran is on the replica after an orderly stop and after a crash', { skip: MOUNT_SKIP }, async t => {
  await using it = await world('ext4')
  const { source, protection } = it
  for (const n of [1, 2, 3, 4]) {
    mkdirSync(join(source, `d${String(n)}`))
    for (const name of ['a', 'b', 'c']) writeFileSync(join(source, `d${String(n)}`, name), `${name}${String(n)}`)
  }
  protection.startAgent()
  await until('protection', () => protection.isProtecting)
  for (const how of ['SIGTERM', 'SIGKILL'] as const) {
    const [first, second] = how === 'SIGTERM' ? ['d1', 'd2'] : ['d3', 'd4']
    await protection.endAgent(how)
    rmSync(join(source, first, 'a'))
    renameSync(join(source, first), join(source, `${first} renamed`))
    execFileSync('python3', ['-c', 'import ctypes, sys; sys.exit(-ctypes.CDLL(None).renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2))', join(source, `${first} renamed`), join(source, second)])
    // same size, same modification time, other data
    const quiet = join(source, second, 'b')
    const before = statSync(quiet)
    writeFileSync(quiet, 'XX')
    utimesSync(quiet, before.atime, before.mtime)
    protection.startAgent()
    await until(`protection after ${how}`, () => protection.isProtecting)
    t.ok(protection.seen.has(how === 'SIGTERM' ? 'agent-stopped' : 'agent-crashed'), `the gap after ${how} was shown`)
  }
  await it.end()
  t.same(await differences(source, it.replica), [])
  t.equal(readdirSync(source).filter(name => name.startsWith('d')).length, 4)
  t.equal(protection.mirrors, 1)
})
