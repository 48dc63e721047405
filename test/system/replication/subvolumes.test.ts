/** Replication of btrfs: a volume that is a subvolume, others nested in it, and such as come, go and change while it runs. */
import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { freeze } from '../../../src/replication/freezer.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { differences } from '../../oracle.ts'
import { treeReplicator } from '../../tree-replicator.ts'
import { TreeStream } from '../../tree-stream.ts'
import { MOUNT_SKIP, mountLoop, mountSubvolume } from '../../zoo/loop-file-system.ts'
import { mirrorBetween } from '../../zoo/mirror-between.ts'

const signal = AbortSignal.timeout(120_000)
const btrfs = (...args: string[]): string => execFileSync('btrfs', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const isReadOnly = (path: string): boolean => btrfs('property', 'get', '-ts', path, 'ro').trim() === 'ro=true'

/** treecmp stays in the subvolume in which it begins: each one is compared by itself. */
async function differ(source: string, replica: string, subvolumes: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of ['.', ...subvolumes]) found.push(...await differences(join(source, path), join(replica, path)))
  return found
}

void t.test('what happens to subvolumes, and in them, arrives; what happens beside the volume does not', { skip: MOUNT_SKIP }, async t => {
  using source = mountSubvolume('subvol=@')
  using target = mountLoop('btrfs', 512)
  const at = (path: string): string => join(source.path, path)
  for (const path of ['one', 'two', 'leaving']) {
    btrfs('subvolume', 'create', at(path))
    // the same inode number in each
    writeFileSync(at(`${path}/file`), `content of ${path}`)
    linkSync(at(`${path}/file`), at(`${path}/linked`))
  }
  writeFileSync(at('file'), 'content of the volume itself')
  t.equal(new Set(['.', 'one', 'two'].map(path => statSync(at(`${path}/file`)).ino)).size < 3, true, 'inode numbers repeat')
  await using changes = await openFanotifyChangeSource({ volumes: new Map([[0, source.path]]), clock: systemClock }, signal)
  await using from = await openPosixSourceTree(source.path, signal)
  await using to = await openPosixTargetTree(target.path, signal)
  await mirrorBetween(source.path, target.path)
  const { replicator, findings } = treeReplicator(from, changes, new TreeStream(new Map([[0, to]])))

  writeFileSync(join(source.top, '@other', 'file'), 'beside the volume')
  mkdirSync(join(source.top, '@other', 'directory'))
  t.same(await changes.take(signal), [], 'another subvolume of the file system')

  writeFileSync(at('two/file'), 'changed in two only')
  writeFileSync(at('one/new'), 'new')
  linkSync(at('one/new'), at('one/new-linked'))
  unlinkSync(at('two/linked'))
  btrfs('subvolume', 'create', at('one/nested'))
  writeFileSync(at('one/nested/file'), 'in a new one')
  btrfs('subvolume', 'snapshot', at('two'), at('writable'))
  btrfs('subvolume', 'snapshot', '-r', at('two'), at('read-only'))
  writeFileSync(at('writable/file'), 'changed in the snapshot')
  btrfs('subvolume', 'delete', at('leaving'))
  renameSync(at('two'), at('renamed'))
  await replicator.drain({}, signal)
  await to.flush(signal)
  const subvolumes = ['one', 'one/nested', 'read-only', 'renamed', 'writable']
  t.same(await differ(source.path, target.path, subvolumes), [])
  t.same(subvolumes.filter(path => isReadOnly(join(target.path, path))), ['read-only'])
  t.notOk(existsSync(join(target.path, 'leaving')))

  // no event tells it
  btrfs('property', 'set', '-ts', at('read-only'), 'ro', 'false')
  btrfs('property', 'set', '-ts', at('writable'), 'ro', 'true')
  btrfs('property', 'set', '-ts', at('one/nested'), 'ro', 'true')
  writeFileSync(at('read-only/file'), 'not read-only any more')
  rmSync(at('renamed/file'))
  const drained = await replicator.drain({ freeze: async s => freeze([source.path], { holdMs: 30_000 }, s) }, signal)
  await to.flush(signal)
  try {
    t.same(await differ(source.path, target.path, subvolumes), [])
    t.same(subvolumes.filter(path => isReadOnly(join(target.path, path))), ['one/nested', 'writable'])
  } finally {
    await drained.frozen?.thaw()
  }
  t.same(findings, [])
})
