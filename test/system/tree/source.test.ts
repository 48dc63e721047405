import { execFileSync } from 'node:child_process'
import { chmodSync, closeSync, ftruncateSync, lstatSync, lutimesSync, mkdirSync, openSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { listingEntries } from '../../../src/wire/listing-codec.ts'
import { decodeOperations } from '../../../src/wire/operation-codec.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { apply, directory, file, refusals, rel, remove } from '../../zoo/tree-pair.ts'

const signal = new AbortController().signal
const TYPES = ['ext4', 'xfs', 'btrfs'] as const
const ALL = { smallFileBytes: 1 << 20, maxBatchBytes: 1 << 20 }

for (const type of TYPES) {
  void t.test(`what lies hidden below a mount point is seen, and the mount is not (${type})`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop(type)
    const point = join(volume.path, 'point')
    mkdirSync(point)
    writeFileSync(join(point, 'hidden'), 'below')
    chmodSync(point, 0o701)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'none', point])
    try {
      writeFileSync(join(point, 'on-the-mount'), 'above')
      await using source = await openPosixSourceTree(volume.path, signal)
      const names: string[] = []
      for await (const page of source.list(rel('point'), signal)) for (const e of listingEntries(page)) names.push(e.name.toString())
      t.same(names, ['hidden'])
      const page = await source.look(rel('point'), signal)
      t.same(page === undefined ? [] : [...listingEntries(page)].map(e => e.mode), [0o701])
      await using target = await openPosixTargetTree(volume.path, signal)
      await apply(target, remove('point'))
      t.equal(readFileSync(join(point, 'on-the-mount'), 'utf8'), 'above')
    } finally {
      execFileSync('umount', [point])
    }
  })
}

for (const type of TYPES) {
  void t.test(`access times stay as they are, of links and directories too (${type})`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop(type)
    const paths = ['d', 'd/f', 'd/s'].map(p => join(volume.path, p))
    mkdirSync(join(volume.path, 'd'))
    writeFileSync(join(volume.path, 'd/f'), 'data')
    symlinkSync('f', join(volume.path, 'd/s'))
    for (const path of paths.toReversed()) (path.endsWith('/s') ? lutimesSync : utimesSync)(path, 1000, 2000)
    await using source = await openPosixSourceTree(volume.path, signal)
    for await (const page of source.list(rel('d'), signal)) t.ok(page.length > 0)
    await source.read(['d/f', 'd/s'].map(rel), ALL, signal)
    await source.read([rel('d')], ALL, signal)
    await using target = await openPosixTargetTree(volume.path, signal)
    for await (const page of target.list(rel('d'), signal)) t.ok(page.length > 0)
    t.same(paths.map(path => lstatSync(path).atimeMs), [1_000_000, 1_000_000, 1_000_000])
  })
}

void t.test('blocks that cannot be read are a finding with their range, and the rest of the file is read', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 64)
  const path = join(volume.path, 'f')
  writeFileSync(path, Buffer.alloc(65_536, 7))
  execFileSync('sync', ['-f', path])
  const line = execFileSync('filefrag', ['-v', '-b1024', path], { encoding: 'utf8' }).split('\n').find(l => / 0:/.test(l)) ?? ''
  const first = Number(/:\s+\d+\.\.\s*\d+:\s+(\d+)\.\./.exec(line)?.[1])
  t.ok(first > 0, line)
  execFileSync('python3', ['-c', 'import os, sys\nfd = os.open(sys.argv[1], 0)\nos.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)', path])
  // the image loses everything from the file's eighth block on: the loop device then answers EIO
  const image = openSync(join(volume.path, '..', 'image'), 'r+')
  const sizeBytes = lstatSync(join(volume.path, '..', 'image')).size
  ftruncateSync(image, first * 1024 + 8 * 4096)
  try {
    await using source = await openPosixSourceTree(volume.path, signal)
    const read = await source.read([rel('f')], ALL, signal)
    const operation = [...decodeOperations(read.batch)][0]
    const extents = operation?.kind === 'file' ? operation.extents : []
    t.same(read.findings.map(f => f.code), Array.from({ length: 8 }, () => 'FILE_UNREADABLE'))
    t.same(extents.map(e => [e.offset, e.data.length]), Array.from({ length: 8 }, (_, i) => [i * 4096, 4096]))
    await using opened = await source.openFile(rel('f'), signal)
    await t.rejects(opened.read(32_768, 4096, signal), { code: 'SOURCE_UNREADABLE' })
    t.equal((await opened.read(0, 4096, signal)).length, 4096)
  } finally {
    ftruncateSync(image, sizeBytes)
    closeSync(image)
  }
})

void t.test('with keepOpen nothing is closed until it is said', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('xfs')
  writeFileSync(join(volume.path, 'f'), 'data')
  await using source = await openPosixSourceTree(volume.path, signal)
  const open = (): number => Number(execFileSync('bash', ['-c', 'ls -l /proc/$PPID/fd | grep -c /f$ || true'], { encoding: 'utf8' }))
  const before = open()
  await source.keepOpen(true)
  await source.read([rel('f')], ALL, signal)
  t.equal(open(), before + 1)
  await source.keepOpen(false)
  t.equal(open(), before)
})

void t.test('a path of 4094 bytes is reached and written, in a root that makes it longer than the kernel takes', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  const steps = [...Array.from({ length: 15 }, (_, i) => String.fromCharCode(97 + i).repeat(255)), 'z'.repeat(254)]
  const path = steps.join('/')
  t.equal(path.length, 4094)
  await using target = await openPosixTargetTree(volume.path, signal)
  const made = await apply(target, ...steps.slice(0, -1).map((_, i) => directory(steps.slice(0, i + 1).join('/'))), file(path, 'deep'))
  t.same(refusals(made), {})
  await using source = await openPosixSourceTree(volume.path, signal)
  await using opened = await source.openFile(rel(path), signal)
  t.equal((await opened.read(0, 10, signal)).toString(), 'deep')
})
