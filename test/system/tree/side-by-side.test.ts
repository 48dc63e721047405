/** Large batches are applied by two threads: what comes out is what one would make, in whatever state the replica was. */
import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { FileOperation } from '../../../src/domain/file-operation.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { apply, describeTree, directory, fifo, file, link, metadata, refusals, remove, symlink, xattr } from '../../zoo/tree-pair.ts'

const signal = new AbortController().signal
const DIRECTORIES = ['a', 'b', 'c', 'd'].map(name => directory(name))

/** Files, links, nodes and directories in four directories, each with its own times at the end. */
function content(files = 20): FileOperation[] {
  return DIRECTORIES.flatMap(({ path }) => {
    const name = path.toString()
    const made = Array.from({ length: files }, (_, i) => file(`${name}/f${String(i)}`, `${name} ${String(i)}`.repeat(100), { mode: 0o600 + i, uid: i % 3, xattrs: i % 5 === 0 ? [xattr('user.n', String(i))] : [] }))
    return [...made, symlink(`${name}/s`, 'target'), fifo(`${name}/p`), directory(`${name}/below`), metadata(name, { mode: 0o711 })]
  })
}

/** What the replica has before, and what is done to it. */
const CASES: Record<string, { before?: FileOperation[], batch?: FileOperation[] }> = {
  'nothing is there': {},
  'all is there': { before: content() },
  'files are there and have other names': { before: [file('a/f3', 'old'), link('b/f3', 'a/f3'), link('d/f7', 'a/f3')] },
  'other kinds are there': { before: [directory('a/f0'), file('a/f0/x', 'x'), symlink('b/f1', '../c'), fifo('c/f2'), file('d/below', ''), symlink('d/f3', '/nowhere')] },
  'the batch removes and links too': { batch: [...content(), remove('a/f1'), link('b/l', 'c/f1'), metadata('a', { mode: 0o711 })] },
  'one name comes twice as different things': { batch: [...content(), file('a/below', 'now a file'), directory('a/below'), file('a/below/x', 'x'), metadata('a')] },
  'a directory is made and filled in one batch': { batch: [...content(), directory('a/new'), ...Array.from({ length: 20 }, (_, i) => file(`a/new/${String(i)}`, 'x')), metadata('a/new'), metadata('a')] },
}

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  for (const [what, { before = [], batch = content() }] of Object.entries(CASES)) {
    void t.test(`a large batch does what its operations do one by one: ${what} (${type})`, { skip: MOUNT_SKIP }, async t => {
      using volume = mountLoop(type)
      await using target = await openPosixTargetTree(volume.path, signal)
      await using source = await openPosixSourceTree(volume.path, signal)
      const memory = new MemoryTree()
      for (const tree of [target, memory]) {
        t.same(refusals(await apply(tree, ...DIRECTORIES, ...before)), {})
        const result = await apply(tree, ...batch)
        t.same(refusals(result), {})
        t.equal(result.operations, batch.length)
      }
      t.same((await describeTree(source)).filter(line => !line.startsWith('lost+found ')), await describeTree(memory))
    })
  }
}

void t.test('of a large batch each failure is told by its position, in order, and what is behind it is done', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  await using target = await openPosixTargetTree(volume.path, signal)
  await apply(target, ...DIRECTORIES)
  const batch = [...content().slice(0, 30), file('missing/f', ''), ...content().slice(30), file('gone/too', ''), file('a/last', 'l'), metadata('a')]
  const result = await apply(target, ...batch)
  t.same(refusals(result), { 30: 'ENOENT', [batch.length - 3]: 'ENOENT' })
  t.equal(result.operations, batch.length)
  t.equal(execFileSync('find', [volume.path, '-name', 'f*'], { encoding: 'utf8' }).trim().split('\n').length, 80)
})

void t.test('a large batch into directories that forbid changes leaves them as they were', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  await using target = await openPosixTargetTree(volume.path, signal)
  await apply(target, ...DIRECTORIES)
  execFileSync('chattr', ['+i', join(volume.path, 'b'), join(volume.path, 'd')])
  const batch = content().filter(operation => operation.kind !== 'metadata')
  t.same(refusals(await apply(target, ...batch)), {})
  const flags = execFileSync('lsattr', ['-d', join(volume.path, 'b'), join(volume.path, 'c'), join(volume.path, 'd')], { encoding: 'utf8' }).split('\n').map(line => line.slice(0, 10).includes('i'))
  t.same(flags.slice(0, 3), [true, false, true])
  execFileSync('chattr', ['-i', join(volume.path, 'b'), join(volume.path, 'd')])
})

void t.test('a directory that is a link by now is not entered by either thread', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  for (const name of ['outside', 'root', 'root/a', 'root/b']) mkdirSync(join(volume.path, name))
  await using target = await openPosixTargetTree(join(volume.path, 'root'), signal)
  for (const name of ['c', 'd']) symlinkSync('../outside', join(volume.path, 'root', name))
  writeFileSync(join(volume.path, 'outside', 'f1'), 'precious')
  chownSync(join(volume.path, 'outside', 'f1'), 5, 5)
  const result = await apply(target, ...content())
  t.ok(result.failures.length >= 40)
  t.equal(execFileSync('bash', ['-c', 'ls -A; cat f1; stat -c %u f1'], { cwd: join(volume.path, 'outside'), encoding: 'utf8' }), 'f1\nprecious5\n')
})
