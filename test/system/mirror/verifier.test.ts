import t, { type Test } from 'tap'
import { randomBytes } from 'node:crypto'
import { appendFileSync, chmodSync, lchownSync, linkSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, unlinkSync, utimesSync, writeFileSync, writeSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { systemClock, type Clock } from '../../../src/clock/clock.ts'
import { display, ROOT_PATH } from '../../../src/domain/rel-path.ts'
import type { Difference, VerifyBy, VerifyProgress } from '../../../src/domain/verification.ts'
import { mirrorVolumes } from '../../../src/mirror/mirrorer.ts'
import { verifyVolumes } from '../../../src/mirror/verifier.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { mountLoop, MOUNT_SKIP, type LoopType } from '../../zoo/loop-file-system.ts'
import { buildZoo, tameZoo } from '../../zoo/zoo.ts'
import { TreeStream } from '../../tree-stream.ts'

interface Pair { source: string, replica: string, sourceVolume: string, mirror: () => Promise<void>, verify: (by: VerifyBy, meanwhile?: () => void) => Promise<{ found: string[], moving: string[], progress: VerifyProgress, all: Difference[] }> }

/** Two directories of one volume, or of two that are `apart`. */
function pair(t: Test, type: LoopType = 'ext4', apart = false): Pair {
  const mounted = (): string => {
    const volume = mountLoop(type, type === 'xfs' ? 320 : 256, undefined, type === 'ext4' ? ['-b', '4096'] : [])
    t.teardown(() => { tameZoo(volume.path); volume[Symbol.dispose]() })
    return volume.path
  }
  const sourceVolume = mounted()
  const source = mkdtempSync(join(sourceVolume, 'source-'))
  const replica = mkdtempSync(join(apart ? mounted() : sourceVolume, 'replica-'))
  const signal = AbortSignal.timeout(60_000)
  return {
    source, replica, sourceVolume,
    mirror: async () => {
      await using from = await openPosixSourceTree(source, signal)
      await using to = await openPosixTargetTree(replica, signal)
      await mirrorVolumes({ volumes: new Map([[0, from]]), stream: new TreeStream(new Map([[0, to]])), request: { compare: 'attributes', orphans: 'delete' }, report: () => undefined, clock: systemClock }, signal)
    },
    verify: async (by, meanwhile) => {
      await using from = await openPosixSourceTree(source, signal)
      await using to = await openPosixTargetTree(replica, signal)
      const stream = new TreeStream(new Map([[0, to]]))
      const all: Difference[] = []
      let first = true
      // the first question to the replica is when a source that lives does something
      const list = stream.list.bind(stream)
      stream.list = async function* (...args) {
        if (first) meanwhile?.()
        first = false
        yield* list(...args)
      }
      const root = await to.look(ROOT_PATH, signal)
      const progress = await verifyVolumes({
        volumes: new Map([[0, from]]), roots: new Map(root === undefined ? [] : [[0, root]]), stream, by, clock: aTickOn, report: () => undefined,
        differences: async differences => { all.push(...differences) },
      }, signal)
      const shown = (moving: boolean): string[] => all.filter(d => d.moving === moving).map(d => `${display(Buffer.from(d.path, 'base64'))}: ${d.aspects.map(a => a.what).join(' ')}`).sort()
      return { found: shown(false), moving: shown(true), progress, all }
    },
  }
}

/** What a test did just before is not to count as done meanwhile. */
const aTickOn: Clock = { ...systemClock, now: () => Date.now() + 25 }

function patch(path: string, offset: number, data: Buffer): void {
  const { atime, mtime } = statSync(path)
  const fd = openSync(path, 'r+')
  writeSync(fd, data, 0, data.length, offset)
  closeSync(fd)
  utimesSync(path, atime, mtime)
}

t.test('a mirrored zoo has no differences, by attributes and by data', { skip: MOUNT_SKIP }, async t => {
  const { source, mirror, verify } = pair(t)
  buildZoo(source)
  await mirror()
  for (const by of ['attributes', 'data'] as const) {
    const { found, moving, progress } = await verify(by)
    t.same({ found, moving }, { found: [], moving: [] })
    t.equal(progress.filesCompared, progress.filesFound)
    t.equal(progress.walked, true)
    t.equal(progress.bytesCompared, progress.bytesFound)
    if (by === 'data') t.ok(progress.bytesCompared > 1 << 20)
  }
})

t.test('each kind of difference is named', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, mirror, verify } = pair(t)
  const names = ['mode', 'owner', 'mtime', 'size', 'xattr', 'acl', 'flags', 'type', 'gone', 'same', 'content']
  for (const name of names) writeFileSync(join(source, name), 'data of a file')
  mkdirSync(join(source, 'lost/deep'), { recursive: true })
  writeFileSync(join(source, 'lost/deep/file'), '1')
  symlinkSync('there', join(source, 'link'))
  execFileSync('mknod', [join(source, 'device'), 'c', '1', '3'])
  await mirror()
  const at = (name: string): string => join(replica, name)
  chmodSync(at('mode'), 0o4711)
  lchownSync(at('owner'), 77, 78)
  utimesSync(at('mtime'), 1, 1)
  truncateSync(at('size'), 3)
  execFileSync('touch', ['-r', join(source, 'size'), at('size')])
  execFileSync('setfattr', ['-n', 'user.of\xff', '-v', 'value', at('xattr')])
  execFileSync('setfacl', ['-m', 'u:55:r', at('acl')])
  execFileSync('chattr', ['+d', at('flags')])
  unlinkSync(at('type'))
  mkdirSync(at('type'))
  writeFileSync(join(at('type'), 'inside'), '')
  unlinkSync(at('gone'))
  rmSync(at('lost'), { recursive: true })
  unlinkSync(at('link'))
  symlinkSync('elsewhere', at('link'))
  unlinkSync(at('device'))
  execFileSync('mknod', [at('device'), 'c', '1', '5'])
  for (const name of ['link', 'device']) execFileSync('touch', ['-h', '-r', join(source, name), at(name)])
  mkdirSync(at('orphan/below'), { recursive: true })
  patch(at('content'), 3, Buffer.from('X'))
  execFileSync('touch', ['-r', join(source, 'content'), at('content')])
  execFileSync('touch', ['-r', source, replica])
  const expected = [
    'acl: acl', 'device: device', 'flags: flags', 'gone: missing', 'link: target', 'lost/deep/file: missing', 'lost/deep: missing', 'lost: missing', 'mode: mode',
    'mtime: mtime', 'orphan/below: extra', 'orphan: extra', 'owner: owner', 'size: size', 'type/inside: extra', 'type: type', 'xattr: xattr',
  ]
  const { found, moving, progress, all } = await verify('attributes')
  t.same(found, expected)
  t.same(moving, [])
  t.equal(progress.differences, expected.length)
  const aspectOf = (path: string): unknown => all.find(d => d.path === Buffer.from(path).toString('base64'))?.aspects[0]
  t.same(aspectOf('mode'), { what: 'mode', source: '0644', replica: '4711' })
  t.same(aspectOf('owner'), { what: 'owner', source: '0:0', replica: '77:78' })
  t.same(aspectOf('link'), { what: 'target', source: 'there', replica: 'elsewhere' })
  t.same((await verify('data')).found, [...expected, 'content: content'].sort())
})

t.test('the ranges of data that differ are told, also where the source has a hole, and however many they are', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, mirror, verify } = pair(t)
  writeFileSync(join(source, 'large'), randomBytes(20 << 20))
  for (const name of ['hole', 'many']) writeFileSync(join(source, name), '')
  truncateSync(join(source, 'hole'), 3 * 2 ** 30)
  patch(join(source, 'hole'), 1 << 20, randomBytes(4096))
  truncateSync(join(source, 'many'), 8 << 20)
  await mirror()
  patch(join(replica, 'large'), 5_000_000, Buffer.from('x'))
  patch(join(replica, 'large'), (8 << 20) - 2, Buffer.from('over the edge of a window'))
  patch(join(replica, 'hole'), 2 ** 31 + 5, Buffer.from('data'))
  for (let block = 0; block < 2048; block += 2) patch(join(replica, 'many'), block * 4096, Buffer.from('x'))
  for (const name of ['large', 'hole', 'many']) execFileSync('touch', ['-r', join(source, name), join(replica, name)])
  const { all, progress } = await verify('data')
  const ranges = (name: string): unknown => all.filter(d => d.path === Buffer.from(name).toString('base64')).flatMap(d => d.aspects.flatMap(a => a.ranges ?? []))
  t.same(ranges('large'), [[4_997_120, 4096], [(8 << 20) - 4096, 8192]])
  t.same(ranges('hole'), [[2 ** 31, 4096]])
  t.equal((ranges('many') as unknown[]).length, 1024)
  t.equal(progress.differences, 3)
})

t.test('names that are linked on one side only are named, and lost links are not taken for anything else', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, mirror, verify } = pair(t)
  for (const name of ['a', 'b', 'c']) writeFileSync(join(source, name), 'same')
  linkSync(join(source, 'a'), join(source, 'a2'))
  linkSync(join(source, 'a'), join(source, 'a3'))
  for (const name of ['a', 'b', 'c']) utimesSync(join(source, name), 5, 5)
  await mirror()
  t.same((await verify('data')).found, [])
  unlinkSync(join(replica, 'a3'))
  execFileSync('cp', ['-p', join(replica, 'a2'), join(replica, 'a3')])
  unlinkSync(join(replica, 'c'))
  linkSync(join(replica, 'b'), join(replica, 'c'))
  execFileSync('touch', ['-r', source, replica])
  const { found, all } = await verify('data')
  t.same(found, ['a3: links', 'c: links'])
  t.same(all.map(d => d.aspects[0]), [{ what: 'links', source: Buffer.from('a').toString('base64') }, { what: 'links', replica: Buffer.from('b').toString('base64') }])
})

t.test('what changes on the source meanwhile is moving, not a difference', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, mirror, verify } = pair(t)
  for (const name of ['changed', 'removed', 'kept', 'wrong']) writeFileSync(join(source, name), 'data')
  mkdirSync(join(source, 'tree/below'), { recursive: true })
  writeFileSync(join(source, 'tree/below/file'), 'x')
  await mirror()
  chmodSync(join(replica, 'wrong'), 0o600)
  const wait = Date.now() + 60
  while (Date.now() < wait) statSync(source)
  const { found, moving, progress } = await verify('data', () => {
    const after = Date.now() + 60
    while (Date.now() < after) statSync(source)
    appendFileSync(join(source, 'changed'), 'more')
    unlinkSync(join(source, 'removed'))
    writeFileSync(join(source, 'created'), 'new')
    renameSync(join(source, 'tree'), join(source, 'renamed'))
  })
  t.same(found, ['wrong: mode'])
  t.same(moving, ['changed: size mtime', 'created: missing', 'removed: extra', 'renamed/below/file: missing', 'renamed/below: missing', 'renamed: missing', 'tree/below/file: extra', 'tree/below: extra', 'tree: extra'])
  t.equal(progress.differences, 1)
  t.equal(progress.moving, moving.length)
})

t.test('on XFS another project is named', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, mirror, verify } = pair(t, 'xfs')
  for (const name of ['same', 'project']) {
    writeFileSync(join(source, name), 'data')
    execFileSync('xfs_io', ['-c', 'chproj 42', join(source, name)])
  }
  await mirror()
  t.same((await verify('attributes')).found, [])
  execFileSync('xfs_io', ['-c', 'chproj 43', join(replica, 'project')])
  const { found, all } = await verify('attributes')
  t.same(found, ['project: project'])
  t.same(all[0]?.aspects, [{ what: 'project', source: '42', replica: '43' }])
})

t.test('on btrfs a directory where the source has a subvolume is named', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, mirror, verify } = pair(t, 'btrfs')
  for (const name of ['same', 'plain']) execFileSync('btrfs', ['-q', 'subvolume', 'create', join(source, name)])
  await mirror()
  t.same((await verify('attributes')).found, [])
  execFileSync('btrfs', ['-q', 'subvolume', 'delete', join(replica, 'plain')])
  mkdirSync(join(replica, 'plain'))
  for (const name of ['plain', '.']) execFileSync('touch', ['-r', join(source, name), join(replica, name)])
  const { found, all } = await verify('attributes')
  t.same(found, ['plain: flags'])
  t.match(all[0]?.aspects, [{ what: 'flags', source: '0x1000000', replica: '0x0' }])
})

t.test('a file whose data cannot be read is named, and the others are compared', { skip: MOUNT_SKIP }, async t => {
  const { source, replica, sourceVolume, mirror, verify } = pair(t, 'ext4', true)
  writeFileSync(join(source, 'bad'), randomBytes(65_536))
  // a hole can be read whatever happens to the image
  writeFileSync(join(source, 'wrong'), '')
  truncateSync(join(source, 'wrong'), 5000)
  await mirror()
  patch(join(replica, 'wrong'), 4500, Buffer.from('X'))
  execFileSync('touch', ['-r', join(source, 'wrong'), join(replica, 'wrong')])
  execFileSync('sync', ['-f', source])
  // the last block of the file lies behind the end of the image
  const map = execFileSync('filefrag', ['-v', '-b4096', join(source, 'bad')], { encoding: 'utf8' })
  const lastBlock = Math.max(...Array.from(map.matchAll(/^\s+\d+:\s+\d+\.\.\s*\d+:\s+\d+\.\.\s*(\d+):/gm), ([, last]) => Number(last)))
  t.ok(lastBlock > 0, map)
  const image = join(dirname(sourceVolume), 'image')
  const rest = readFileSync(image).subarray(lastBlock * 4096)
  truncateSync(image, lastBlock * 4096)
  writeFileSync('/proc/sys/vm/drop_caches', '3')
  try {
    const { found, moving, progress } = await verify('data')
    t.same({ found, moving }, { found: ['bad: unreadable', 'wrong: content'], moving: [] })
    t.equal(progress.differences, 2)
  } finally {
    const fd = openSync(image, 'r+')
    writeSync(fd, rest, 0, rest.length, lastBlock * 4096)
    closeSync(fd)
  }
  writeFileSync('/proc/sys/vm/drop_caches', '3')
  t.same((await verify('data')).found, ['wrong: content'])
})
