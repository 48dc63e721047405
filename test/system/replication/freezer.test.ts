import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import t from 'tap'
import { freeze } from '../../../src/replication/freezer.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

const signal = AbortSignal.timeout(120_000)
const HOLDER = fileURLToPath(new URL('frozen-process.ts', import.meta.url))

/** Whether a write below path ends within the time; one on a frozen file system waits for the thaw. */
async function writesWithin(path: string, ms: number): Promise<{ ended: boolean, write: Promise<void> }> {
  const write = writeFile(join(path, 'written'), 'x')
  const ended = await Promise.race([write.then(() => true), new Promise<boolean>(resolve => { setTimeout(resolve, ms, false) })])
  return { ended, write }
}

void t.test('a frozen file system takes writes again after the thaw, and thawing twice is fine', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 100)
  const frozen = await freeze([volume.path], { holdMs: 20_000 }, signal)
  try {
    t.ok(await frozen.hold())
    const { ended, write } = await writesWithin(volume.path, 300)
    t.notOk(ended, 'the write waits')
    await frozen.thaw()
    await write
    t.notOk(await frozen.hold(), 'it does not claim to be frozen any more')
  } finally {
    await frozen.thaw()
  }
})

void t.test('the watchdog thaws when nobody holds for the hold time', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('xfs', 400)
  await using frozen = await freeze([volume.path], { holdMs: 500 }, signal)
  const { ended } = await writesWithin(volume.path, 10_000)
  t.ok(ended)
  t.notOk(await frozen.hold(), 'and the holder is told')
})

void t.test('the watchdog thaws when the process that froze is killed', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 100)
  const holder = spawn(process.execPath, [HOLDER, volume.path, '60000'], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await once(holder.stdout, 'data')
    const before = await writesWithin(volume.path, 300)
    t.notOk(before.ended, 'it is frozen')
    holder.kill('SIGKILL')
    const began = Date.now()
    await before.write
    t.ok(Date.now() - began < 10_000, 'long before the hold time')
  } finally {
    holder.kill('SIGKILL')
  }
})

void t.test('a file system that somebody else froze is refused, and the others are thawed again', { skip: MOUNT_SKIP }, async t => {
  using first = mountLoop('ext4', 100)
  const inner = join(first.path, 'deeper')
  mkdirSync(inner)
  using second = mountLoop('ext4', 100)
  await using other = await freeze([second.path], { holdMs: 20_000 }, signal)
  await t.rejects(freeze([first.path, second.path], { holdMs: 20_000 }, signal), { code: 'FREEZE_FAILED', message: /frozen already/ })
  t.ok((await writesWithin(first.path, 10_000)).ended, 'the first one is not left frozen')
  t.ok(await other.hold(), 'and the other program keeps its freeze')
})

void t.test('a directory that is no mount point is refused', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 100)
  mkdirSync(join(volume.path, 'plain'))
  await t.rejects(freeze([join(volume.path, 'plain')], { holdMs: 1000 }, signal), { code: 'FREEZE_FAILED', message: /no file system is mounted there/ })
})
