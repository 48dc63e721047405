import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ROOT_PATH } from '../../../src/domain/rel-path.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { apply, directory, file, link, metadata, METADATA, refusals, rel, remove, rename, write } from '../../zoo/tree-pair.ts'

const signal = new AbortController().signal
const flagsOf = (path: string): string => (execFileSync('lsattr', ['-d', path], { encoding: 'utf8' }).split(' ')[0] ?? '').replaceAll('-', '').replace('e', '')
const IMMUTABLE = { flags: 0x10 }

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  void t.test(`a full file system ends the batch with REPLICA_FULL and later goes on (${type})`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop(type, type === 'ext4' ? 32 : 300)
    await using target = await openPosixTargetTree(volume.path, signal)
    const free = statfsSync(volume.path).bavail * statfsSync(volume.path).bsize
    writeFileSync(join(volume.path, 'ballast'), '')
    execFileSync('fallocate', ['-l', String(free - 4 * 1024 * 1024), join(volume.path, 'ballast')])
    const big = 'x'.repeat(1024 * 1024)
    await t.rejects(async () => { for (let i = 0; i < 8; i++) await apply(target, file(`f${String(i)}`, big), file(`after${String(i)}`, '')) }, { code: 'REPLICA_FULL' })
    await apply(target, remove('ballast'))
    await target.flush(signal)
    t.same(refusals(await apply(target, file('f0', big), file('f9', big))), {})
  })

  void t.test(`append-only and immutable files and directories are changed and keep their flags (${type})`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop(type)
    await using target = await openPosixTargetTree(volume.path, signal)
    const at = (path: string): string => join(volume.path, path)
    const first = await apply(target, directory('d'), file('d/i', 'one', IMMUTABLE), file('d/a', 'one', { flags: 0x20 }), link('other', 'd/i'), directory('d', IMMUTABLE))
    t.same(refusals(first), {})
    t.same(['d', 'd/i', 'd/a', 'other'].map(p => flagsOf(at(p))), ['i', 'i', 'a', 'i'])
    t.same(refusals(await apply(target, write('d/i', 0, 'two'), write('d/a', 0, 'two'), metadata('d/i', IMMUTABLE), file('d/new', 'n'))), {})
    t.same(['other', 'd/a', 'd/new'].map(p => readFileSync(at(p), 'utf8')), ['two', 'two', 'n'])
    t.same(['d', 'd/i', 'd/a', 'd/new'].map(p => flagsOf(at(p))), ['i', 'i', 'a', ''])
    t.equal(statSync(at('other'), { bigint: true }).mtimeNs, METADATA.mtimeNs)
    t.same(refusals(await apply(target, rename('d/a', 'd/b'), file('d/i', 'three', IMMUTABLE), remove('d/new'))), {})
    t.same([flagsOf(at('d')), flagsOf(at('d/b')), flagsOf(at('d/i')), existsSync(at('d/new'))], ['i', 'a', 'i', false])
    t.same(refusals(await apply(target, remove('d'))), {})
    t.equal(existsSync(at('d')), false)
    t.equal(flagsOf(at('other')), 'i', 'the name that is left keeps the flag')
    t.same(refusals(await apply(target, remove('other'))), {})
  })
}

void t.test('a read-only replica is REPLICA_READ_ONLY', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  await using target = await openPosixTargetTree(volume.path, signal)
  volume.remount('ro')
  await t.rejects(apply(target, file('f', 'F')), { code: 'REPLICA_READ_ONLY' })
  volume.remount('rw')
  t.same(refusals(await apply(target, file('f', 'F'))), {})
})

void t.test('an open tree keeps its file system from being unmounted', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  await using target = await openPosixTargetTree(volume.path, signal)
  await target.flush(signal)
  t.throws(() => execFileSync('umount', [volume.path], { stdio: 'pipe' }), { message: /busy/ })
})

void t.test('an attribute or flag that the file system does not take is told, and the rest is done', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  await using target = await openPosixTargetTree(volume.path, signal)
  const large = { xattrs: [{ name: Buffer.from('user.large'), value: Buffer.alloc(20_000) }, { name: Buffer.from('user.small'), value: Buffer.from('s') }] }
  t.same(refusals(await apply(target, file('f', 'F', large), file('g', 'G', { flags: 0x80_0000 | 0x40 }))), { 0: 'E2BIG', 1: 'EOPNOTSUPP' })
  t.equal(execFileSync('getfattr', ['--only-values', '-n', 'user.small', join(volume.path, 'f')], { encoding: 'utf8' }), 's')
  t.equal(flagsOf(join(volume.path, 'g')), 'd')
  t.equal(statSync(join(volume.path, 'f'), { bigint: true }).mtimeNs, METADATA.mtimeNs)
})

void t.test('a tree deeper than any path, with a crowd in it, is removed', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  mkdirSync(join(volume.path, 'd'))
  const script = 'import os,sys\nos.chdir(sys.argv[1])\nfor i in range(3000):\n  os.mkdir("n"*50); open("f","w").close(); os.chdir("n"*50)\nfor i in range(5000): open(str(i),"w").close()'
  execFileSync('python3', ['-c', script, join(volume.path, 'd')])
  await using target = await openPosixTargetTree(volume.path, signal)
  t.same(refusals(await apply(target, remove('d'))), {})
  t.equal(existsSync(join(volume.path, 'd')), false)
})

void t.test('large files written in pieces take no more space than they need on XFS', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('xfs')
  await using target = await openPosixTargetTree(volume.path, signal)
  const piece = 'x'.repeat(1024 * 1024)
  await apply(target, { kind: 'file', path: rel('f'), sizeBytes: 20 * piece.length, complete: false, metadata: METADATA, extents: [] })
  for (let i = 0; i < 20; i++) await apply(target, write('f', i * piece.length, piece))
  await apply(target, metadata('f'))
  await target.flush(signal)
  const { size, blocks } = statSync(join(volume.path, 'f'))
  t.ok(blocks * 512 <= size + 65_536, `${String(blocks * 512)} bytes for ${String(size)}`)
})

void t.test('a directory that somebody else removed and made again is found again', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  await using target = await openPosixTargetTree(volume.path, signal)
  await apply(target, directory('d'), file('d/a', 'A'))
  execFileSync('rm', ['-r', join(volume.path, 'd')])
  mkdirSync(join(volume.path, 'd'))
  t.same(refusals(await apply(target, file('d/b', 'B'))), {})
  t.equal(readFileSync(join(volume.path, 'd/b'), 'utf8'), 'B')
  for await (const page of target.list(ROOT_PATH, signal)) t.ok(page.length > 0)
})
