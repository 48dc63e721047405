import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { copyTree } from '../../zoo/copy.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { buildZoo, differences, UNKNOWN } from '../../zoo/zoo.ts'

const signal = new AbortController().signal

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  void t.test(`every kind of file and attribute arrives on ${type}, the first and the second time`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop(type)
    const source = join(volume.path, 'source')
    const replica = join(volume.path, 'replica')
    mkdirSync(source)
    mkdirSync(replica)
    t.same(buildZoo(source).filter(what => !UNKNOWN[type].test(what)), [])
    for (const round of ['first', 'second']) {
      await using from = await openPosixSourceTree(source, signal)
      await using to = await openPosixTargetTree(replica, signal)
      const report = await copyTree(from, to, signal)
      t.same(report.failures.map(f => f.message), [], `nothing refused the ${round} time`)
      t.same(report.findings, [], `nothing unreadable the ${round} time`)
      await to.flush(signal)
      t.same(differences(source, replica), [], `equal the ${round} time`)
    }
  })
}
