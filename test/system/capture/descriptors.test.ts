/** A frozen source of more directories and files than the agent may have open. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { VolumeWalks } from '../../../src/capture/volume-walks.ts'
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

void t.test('the agent may have as many descriptors open as it asks for, where it may', { skip: MOUNT_SKIP }, t => {
  descriptors(LIMIT)
  t.equal(native.raiseDescriptorLimit(LIMIT - 100), LIMIT, 'never less')
  t.equal(native.raiseDescriptorLimit(3000), 3000)
  t.end()
})
