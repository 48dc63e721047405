import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { ROOT_PATH } from '../../../src/domain/rel-path.ts'
import { readMark, VOLUME_MARK, writeMark } from '../../../src/posix/marks.ts'
import { closeTree, openTree, type TreeHandle } from '../../../src/posix/posix.ts'
import { encodeOperations } from '../../../src/wire/operation-codec.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { entry, METADATA, openPosixPair, rel, xattr } from '../../zoo/tree-pair.ts'

const signal = new AbortController().signal

async function withTree(work: (tree: TreeHandle, path: string) => Promise<void>): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'landfall-marks-'))
  const tree = await openTree(path, 'replica')
  try {
    await work(tree, path)
  } finally {
    closeTree(tree)
    rmSync(path, { recursive: true })
  }
}

void t.test('a mark is read back, replaced, and gone when it is taken away', { skip: MOUNT_SKIP }, async t => {
  await withTree(async (tree, path) => {
    t.equal(await readMark(tree, VOLUME_MARK), undefined)
    await writeMark(tree, VOLUME_MARK, 'job/0')
    t.equal(await readMark(tree, VOLUME_MARK), 'job/0')
    await writeMark(tree, VOLUME_MARK, 'x'.repeat(2000))
    t.equal((await readMark(tree, VOLUME_MARK))?.length, 2000)
    t.match(execFileSync('getfattr', ['-dm-', '--absolute-names', path], { encoding: 'utf8' }), /^trusted\.landfall\.volume="x{2000}"$/m)
    await writeMark(tree, VOLUME_MARK, undefined)
    await writeMark(tree, VOLUME_MARK, undefined)
    t.equal(execFileSync('getfattr', ['-dm-', '--absolute-names', path], { encoding: 'utf8' }), '')
  })
})

void t.test('no other attribute is touched by the name of a mark', { skip: MOUNT_SKIP }, async t => {
  await withTree(async tree => {
    for (const name of ['user.x', 'trusted.landfal', '', 'trusted.landfall']) {
      await t.rejects(writeMark(tree, name, 'x'), { code: 'REPLICA_WRITE' })
      await t.rejects(readMark(tree, name), { code: 'REPLICA_WRITE' })
    }
  })
})

void t.test('a mark is not listed, stays when the root gets other metadata, and never travels', { skip: MOUNT_SKIP }, async t => {
  await using pair = await openPosixPair()
  const tree = await openTree(pair.path, 'replica')
  t.teardown(() => { closeTree(tree) })
  await writeMark(tree, VOLUME_MARK, 'job/0')
  t.same((await entry(pair.source, ''))?.core.xattrs, [])
  const sent = await pair.source.readMetadata(ROOT_PATH, signal)
  t.notOk(sent?.includes('landfall'), 'not read from a source')
  for (const xattrs of [[], [xattr('trusted.other', 'x')]]) {
    for (const kind of ['metadata', 'directory'] as const) {
      t.same((await pair.target.apply(encodeOperations([{ kind, path: ROOT_PATH, metadata: { ...METADATA, mode: 0o755, xattrs } }]), signal)).failures, [])
      t.equal(await readMark(tree, VOLUME_MARK), 'job/0')
    }
  }
  t.match(execFileSync('getfattr', ['-dm-', '--absolute-names', pair.path], { encoding: 'utf8' }), 'trusted.other="x"')
})

void t.test('an operation that carries a mark is refused with the whole batch, wherever it points', { skip: MOUNT_SKIP }, async t => {
  await using pair = await openPosixPair()
  for (const path of ['', 'd']) {
    const evil = encodeOperations([
      { kind: 'directory', path: rel('d'), metadata: METADATA },
      { kind: 'directory', path: rel(path), metadata: { ...METADATA, xattrs: [xattr('trusted.landfall.volume', 'another')] } },
    ])
    await t.rejects(pair.target.apply(evil, signal), { code: 'FRAME_INVALID' })
  }
  t.equal(await pair.source.look(rel('d'), signal), undefined, 'nothing of it was applied')
})

for (const flag of ['i', 'a']) {
  void t.test(`a root that is locked (chattr +${flag}) is marked all the same, and stays locked`, { skip: MOUNT_SKIP }, async t => {
    using volume = mountLoop('ext4')
    const tree = await openTree(volume.path, 'replica')
    try {
      execFileSync('chattr', [`+${flag}`, volume.path])
      await writeMark(tree, VOLUME_MARK, 'job/0')
      t.match(execFileSync('lsattr', ['-d', volume.path], { encoding: 'utf8' }), new RegExp(`^[^ ]*${flag}`))
      await writeMark(tree, VOLUME_MARK, undefined)
      t.equal(await readMark(tree, VOLUME_MARK), undefined)
      t.match(execFileSync('lsattr', ['-d', volume.path], { encoding: 'utf8' }), new RegExp(`^[^ ]*${flag}`))
    } finally {
      execFileSync('chattr', [`-${flag}`, volume.path])
      closeTree(tree)
    }
  })
}
