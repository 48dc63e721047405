/** A source of more directories and files than the agent may have open. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import { openInotifyChangeSource } from '../../../src/capture/inotify-change-source.ts'
import { VolumeWalks } from '../../../src/capture/volume-walks.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { parseRelPath, type RelPath } from '../../../src/domain/rel-path.ts'
import { freeze } from '../../../src/replication/freezer.ts'
import { native } from '../../../src/posix/native.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

const signal = AbortSignal.timeout(120_000)
const DIRECTORIES = 1200
const LIMIT = 400

/** Lowers what this process may have open. */
function descriptors(soft: number): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${String(soft)}:`])
}

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  void t.test(`a frozen ${type} is walked and read with few descriptors`, { skip: MOUNT_SKIP }, async t => {
    using source = mountLoop(type, 300)
    const files: RelPath[] = []
    for (let n = 0; n < DIRECTORIES; n++) {
      const directory = `d${String(n)}`
      mkdirSync(join(source.path, directory))
      writeFileSync(join(source.path, directory, 'file'), 'x'.repeat(n))
      files.push(parseRelPath(Buffer.from(`${directory}/file`)))
    }
    using walks = new VolumeWalks(new Map([[0, source.path]]))
    await using tree = await openPosixSourceTree(source.path, signal)
    await tree.keepOpen(true)
    const frozen = await freeze([source.path], { holdMs: 60_000 }, signal)
    try {
      descriptors(LIMIT)
      const found = new Set<string>()
      for await (const page of walks.changedSince(0, 0n, { frozen: true }, signal)) for (const { path } of page) found.add(path.toString())
      t.same(files.filter(path => !found.has(path.toString())), [])
      t.equal((await tree.lookAll(files, signal)).filter(entry => entry === undefined).length, 0)
      for (const path of files) {
        await using file = await tree.openFile(path, signal)
        await file.blockHashes(0, 4096, 4096, signal)
      }
      t.ok(await frozen.hold(), 'and it was frozen all the time')
    } finally {
      descriptors(native.raiseDescriptorLimit(4096))
      await frozen.thaw()
      await tree.keepOpen(false)
    }
  })
}

void t.test('what cannot be looked at for want of descriptors is compared, also what is gone by then', { skip: MOUNT_SKIP }, async t => {
  using source = mountLoop('ext4', 300)
  const at = (name: string): string => join(source.path, name)
  mkdirSync(at('d'))
  writeFileSync(at('d/gone'), '')
  await using changes = await openFanotifyChangeSource({ volumes: new Map([[0, source.path]]), clock: systemClock }, signal)
  const since = BigInt(Date.now() - 60_000) * 1_000_000n
  writeFileSync(at('d/new'), '')
  rmSync(at('d/gone'))
  descriptors(3)
  const unseen = await changes.take(signal).finally(() => { native.raiseDescriptorLimit(4096) })
  t.same(unseen.filter(({ kind }) => kind !== 'rescan'), [])
  const rescans = [...unseen, ...await changes.take(signal)]
  t.match(rescans, [{ kind: 'rescan', volume: 0, why: ['events-lost'] }])
  t.ok(rescans.every(change => change.kind === 'rescan' && change.sinceMs > Number(since / 1_000_000n) - 60_000), 'not of everything')
})

void t.test('a directory that inotify cannot open for want of descriptors is one without a watch', async t => {
  const root = t.testdir({})
  await using changes = await openInotifyChangeSource({ volumes: new Map([[0, root]]), clock: systemClock }, signal)
  t.same(changes.status().degraded, [])
  descriptors(3)
  mkdirSync(join(root, 'd'))
  await changes.take(signal).finally(() => { native.raiseDescriptorLimit(4096) })
  t.match(changes.status().degraded, [{ kind: 'watch-missed' }])
})

void t.test('the agent may have as many descriptors open as it asks for, where it may', { skip: MOUNT_SKIP }, t => {
  descriptors(LIMIT)
  t.equal(native.raiseDescriptorLimit(LIMIT - 100), LIMIT, 'never less')
  t.equal(native.raiseDescriptorLimit(3000), 3000)
  t.end()
})
