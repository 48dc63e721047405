/** Subvolumes of btrfs arrive as subvolumes where there are any, else as directories, and that is told. */
import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MOUNT_SKIP, mountLoop, type LoopType } from '../../zoo/loop-file-system.ts'
import { inShort, mirrorBetween } from '../../zoo/mirror-between.ts'
import { differences } from '../../zoo/zoo.ts'

const run = (tool: string, ...args: string[]): string => execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

function mounted(t: Test, type: LoopType): string {
  const volume = mountLoop(type)
  t.teardown(() => { volume[Symbol.dispose]() })
  return volume.path
}

/** Subvolumes with files of the same inode numbers, hard links within each, one in another, snapshots, one in a directory. */
function fill(root: string): void {
  for (const path of ['one', 'two', 'one/nested']) run('btrfs', 'subvolume', 'create', join(root, path))
  mkdirSync(join(root, 'plain'))
  run('btrfs', 'subvolume', 'create', join(root, 'plain/three'))
  for (const path of ['.', 'one', 'two', 'one/nested', 'plain/three']) {
    mkdirSync(join(root, path, 'd'))
    writeFileSync(join(root, path, 'd/f'), `content of ${path}`)
    linkSync(join(root, path, 'd/f'), join(root, path, 'linked'))
    linkSync(join(root, path, 'd/f'), join(root, path, 'linked-again'))
    run('setfattr', '-n', 'user.of', '-v', path, join(root, path))
    run('chmod', '2751', join(root, path))
  }
  run('btrfs', 'subvolume', 'snapshot', '-r', join(root, 'two'), join(root, 'read-only'))
  run('btrfs', 'subvolume', 'snapshot', join(root, 'two'), join(root, 'writable'))
  writeFileSync(join(root, 'writable/d/f'), 'changed since')
}

const SUBVOLUMES = ['one', 'one/nested', 'plain/three', 'read-only', 'two', 'writable']

const listed = (root: string): string[] => run('btrfs', 'subvolume', 'list', '-o', root).split('\n').concat(run('btrfs', 'subvolume', 'list', root).split('\n'))
  .flatMap(line => / path (.*)$/.exec(line)?.[1] ?? []).filter((path, i, all) => all.indexOf(path) === i).sort()
const isReadOnly = (path: string): boolean => run('btrfs', 'property', 'get', '-ts', path, 'ro').trim() === 'ro=true'

/** Comparisons of each subvolume by itself: treecmp does not leave the one in which it begins. */
function differ(source: string, replica: string): string[] {
  return ['.', ...SUBVOLUMES].flatMap(path => existsSync(join(source, path)) || existsSync(join(replica, path)) ? differences(join(source, path), join(replica, path)) : [])
}

t.test('subvolumes, snapshots and what is in them arrive as they are, and what changes in them too', { skip: MOUNT_SKIP }, async t => {
  const [source, replica] = [mounted(t, 'btrfs'), mounted(t, 'btrfs')]
  fill(source)
  t.same((await mirrorBetween(source, replica, { compare: 'none' })).all, [])
  t.same(listed(replica), SUBVOLUMES)
  t.same(SUBVOLUMES.filter(path => isReadOnly(join(replica, path))), ['read-only'])
  t.same(differ(source, replica), [])
  t.equal(lstatSync(join(replica, 'one/linked')).nlink, 3, 'links within a subvolume, not across')
  const again = await mirrorBetween(source, replica)
  t.equal(again.filesSkipped, again.filesFound, 'nothing is sent again')
  // changed also below what is read-only on both sides
  writeFileSync(join(source, 'one/nested/d/new'), 'new')
  run('btrfs', 'property', 'set', '-ts', join(source, 'read-only'), 'ro', 'false')
  writeFileSync(join(source, 'read-only/d/f'), 'changed')
  rmSync(join(source, 'read-only/linked'))
  run('btrfs', 'property', 'set', '-ts', join(source, 'read-only'), 'ro', 'true')
  run('btrfs', 'property', 'set', '-ts', join(source, 'two'), 'ro', 'true')
  t.same((await mirrorBetween(source, replica)).all, [])
  t.same(differ(source, replica), [])
  t.same(SUBVOLUMES.filter(path => isReadOnly(join(replica, path))), ['read-only', 'two'])
  run('btrfs', 'property', 'set', '-ts', join(source, 'two'), 'ro', 'false')
  t.same((await mirrorBetween(source, replica)).all, [])
  t.same(SUBVOLUMES.filter(path => isReadOnly(join(replica, path))), ['read-only'])
})

t.test('subvolumes that the source has no more are removed, read-only and nested ones too', { skip: MOUNT_SKIP }, async t => {
  const [source, replica] = [mounted(t, 'btrfs'), mounted(t, 'btrfs')]
  fill(source)
  await mirrorBetween(source, replica)
  run('btrfs', 'subvolume', 'snapshot', '-r', join(replica, 'one'), join(replica, 'one/nested/deeper'))
  for (const path of ['read-only', 'one/nested', 'one']) run('btrfs', 'subvolume', 'delete', join(source, path))
  t.same((await mirrorBetween(source, replica)).all, [])
  t.same(listed(replica), ['plain/three', 'two', 'writable'])
  t.same(differ(source, replica), [])
})

t.test('a subvolume takes the place of a directory, and a directory that of a subvolume', { skip: MOUNT_SKIP }, async t => {
  const [source, replica] = [mounted(t, 'btrfs'), mounted(t, 'btrfs')]
  for (const [root, subvolume, plain] of [[source, 'a', 'b'], [replica, 'b', 'a']] as const) {
    run('btrfs', 'subvolume', 'create', join(root, subvolume))
    mkdirSync(join(root, plain))
    for (const path of ['a', 'b']) writeFileSync(join(root, path, 'f'), `${path} of ${root === source ? 'the source' : 'the replica'}`)
    run('btrfs', 'subvolume', 'create', join(root, `empty-${subvolume}`))
    mkdirSync(join(root, `empty-${plain}`))
  }
  linkSync(join(source, 'b/f'), join(source, 'linked'))
  t.same((await mirrorBetween(source, replica)).all, [])
  t.same(listed(replica), ['a', 'empty-a'])
  t.same(['.', 'a'].flatMap(path => differences(join(source, path), join(replica, path))), [])
})

t.test('within one subvolume nothing is above the root that is mirrored', { skip: MOUNT_SKIP }, async t => {
  const [source, replica] = [mounted(t, 'btrfs'), mounted(t, 'btrfs')]
  fill(source)
  run('btrfs', 'subvolume', 'create', join(replica, 'into'))
  const { all } = await mirrorBetween(join(source, 'one'), join(replica, 'into'))
  t.same(all, [])
  t.same(listed(replica), ['into', 'into/nested'])
  t.same(['.', 'nested'].flatMap(path => differences(join(source, 'one', path), join(replica, 'into', path))), [])
})

for (const type of ['ext4', 'xfs'] as const) {
  t.test(`on ${type} subvolumes are directories, each with one finding`, { skip: MOUNT_SKIP }, async t => {
    const [source, replica] = [mounted(t, 'btrfs'), mounted(t, type)]
    fill(source)
    for (const compare of ['none', 'attributes'] as const) {
      const { all } = await mirrorBetween(source, replica, { compare })
      t.same(inShort(all), SUBVOLUMES.map(path => `SUBVOLUME_AS_DIRECTORY ${path}`))
      // treecmp stays in the subvolume where it begins, rsync does not
      t.same(differences(source, replica).filter(line => line.startsWith('rsync')), [])
      t.same(differences(join(source, 'one/nested'), join(replica, 'one/nested')), [])
    }
    renameSync(join(source, 'one'), join(source, 'renamed'))
    rmSync(join(source, 'two'), { recursive: true })
    await mirrorBetween(source, replica)
    t.same([existsSync(join(replica, 'one')), existsSync(join(replica, 'two'))], [false, false])
    t.equal(readFileSync(join(replica, 'renamed/nested/linked'), 'utf8'), 'content of one/nested')
  })
}

t.test('files are nocow where the source has them so, also when they were not before', { skip: MOUNT_SKIP }, async t => {
  const [source, replica] = [mounted(t, 'btrfs'), mounted(t, 'btrfs')]
  const at = (path: string): string => join(source, path)
  mkdirSync(at('nocow'))
  run('chattr', '+C', at('nocow'))
  writeFileSync(at('nocow/small'), 'small')
  linkSync(at('nocow/small'), at('another-name'))
  writeFileSync(at('nocow/large'), Buffer.alloc(1 << 20, 1))
  writeFileSync(at('cow'), 'cow')
  t.same((await mirrorBetween(source, replica)).all, [])
  t.same(differences(source, replica), [])
  t.match(run('lsattr', join(replica, 'nocow/large')), /C/)
  // with the same content and times
  for (const [path, flag] of [['nocow/small', '-C'], ['nocow/large', '-C'], ['cow', '+C']] as const) {
    const other = join(replica, 'other')
    writeFileSync(other, '')
    run('chattr', flag, other)
    writeFileSync(other, readFileSync(at(path)))
    run('touch', '-r', at(path), other)
    renameSync(other, join(replica, path))
  }
  t.same((await mirrorBetween(source, replica)).all, [])
  t.same(differences(source, replica), [])
})
