import { join } from 'node:path'
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { VOLUME_MARK, writeMark } from '../../../src/posix/marks.ts'
import { closeTree, openTree } from '../../../src/posix/posix.ts'
import { openPosixTargetTree, openReplicaVolume } from '../../../src/tree/posix-target-tree.ts'
import { MOUNT_SKIP, mountLoop, type LoopType } from '../../zoo/loop-file-system.ts'
import { apply, file } from '../../zoo/tree-pair.ts'

const signal = new AbortController().signal

void t.test('a root that is missing or no directory is told by its side', async t => {
  const base = t.testdir()
  writeFileSync(join(base, 'file'), '')
  for (const path of [join(base, 'missing'), join(base, 'file')]) {
    await t.rejects(openPosixSourceTree(path, signal), { code: 'SOURCE_MISSING' })
    await t.rejects(openPosixTargetTree(path, signal), { code: 'REPLICA_ROOT_MISSING' })
  }
})

async function mark(path: string, volumeId: string): Promise<void> {
  const tree = await openTree(path, 'replica')
  try {
    await writeMark(tree, VOLUME_MARK, volumeId)
  } finally {
    closeTree(tree)
  }
}

for (const type of ['ext4', 'xfs', 'btrfs'] as const satisfies LoopType[]) {
  void t.test(`only the volume that bears the id is opened for writing: ${type}`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop(type)
    await t.rejects(openReplicaVolume(volume.path, 'job/0', signal), { code: 'REPLICA_ROOT_FOREIGN' }, 'a volume without a mark')
    await mark(volume.path, 'job/0')
    {
      await using tree = await openReplicaVolume(volume.path, 'job/0', signal)
      t.same((await apply(tree, file('f', 'x'))).failures, [])
    }
    for (const other of ['job/1', 'job/', 'job/00', '']) await t.rejects(openReplicaVolume(volume.path, other, signal), { code: 'REPLICA_ROOT_FOREIGN' }, `not volume "${other}"`)
    mkdirSync(join(volume.path, 'd'))
    await t.rejects(openReplicaVolume(join(volume.path, 'd'), 'job/0', signal), { code: 'REPLICA_ROOT_FOREIGN' }, 'a directory of the volume is not its root')
  })
}

void t.test('a mount point whose volume is not mounted is refused, and nothing is written to the disk below it', { skip: MOUNT_SKIP }, async t => {
  const mountPoint = join(t.testdir(), 'replica')
  mkdirSync(mountPoint)
  const before = lstatSync(mountPoint, { bigint: true })
  await t.rejects(openReplicaVolume(mountPoint, 'job/0', signal), { code: 'REPLICA_ROOT_FOREIGN', message: /is it mounted/ })
  const after = lstatSync(mountPoint, { bigint: true })
  t.same([after.ctimeNs, after.mtimeNs, readdirSync(mountPoint)], [before.ctimeNs, before.mtimeNs, []])
})
