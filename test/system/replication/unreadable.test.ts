/** Changes of a real file system of which something cannot be read: that is told, the rest arrives, the drain ends, and the replica keeps what it has. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { treeReplicator } from '../../tree-replicator.ts'
import { TreeStream } from '../../tree-stream.ts'
import { run, spoilAttributes, unmounted } from '../../zoo/damaged-volume.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { mirrorBetween } from '../../zoo/mirror-between.ts'

const signal = AbortSignal.timeout(120_000)
const LARGE = 400_000 // bytes; it is updated in place

t.test('files and directories whose attributes cannot be read end neither the replication nor the drain', { skip: MOUNT_SKIP }, async t => {
  using source = mountLoop('ext4', 64)
  using replica = mountLoop('ext4', 64)
  const at = (path: string): string => join(source.path, path)
  const there = (path: string): string => join(replica.path, path)
  mkdirSync(at('directory'))
  writeFileSync(at('large'), Buffer.alloc(LARGE, 'l'))
  for (const path of ['file', 'other', 'directory/inside', 'directory/gone']) writeFileSync(at(path), path)
  const damaged = ['file', 'large', 'directory']
  for (const path of damaged) run('setfattr', '-n', 'user.long', '-v', path.repeat(50), at(path))
  t.same((await mirrorBetween(source.path, replica.path)).all, [])
  unmounted(source, image => { spoilAttributes(image, damaged) })

  await using from = await openPosixSourceTree(source.path, signal)
  await using target = await openPosixTargetTree(replica.path, signal)
  await using changes = await openFanotifyChangeSource({ volumes: new Map([[0, source.path]]), clock: systemClock }, signal)
  const { replicator, findings } = treeReplicator(from, changes, new TreeStream(new Map([[0, target]])))
  for (const path of ['file', 'other', 'directory/inside', 'new']) writeFileSync(at(path), `${path} now`)
  writeFileSync(at('large'), Buffer.alloc(LARGE, 'n'))
  rmSync(at('directory/gone'))
  await replicator.drain({}, signal)
  await target.flush(signal)
  t.same([...new Set(findings.map(finding => finding.split(' ').slice(0, 2).join(' ')))].sort(), damaged.map(path => `FILE_UNREADABLE ${path}`).sort())
  t.same(['other', 'directory/inside', 'new'].map(path => readFileSync(there(path), 'utf8')), ['other now', 'directory/inside now', 'new now'])
  t.notOk(existsSync(there('directory/gone')))
  t.ok(existsSync(there('file')) && existsSync(there('large')), 'the replica keeps what cannot be read')
})
