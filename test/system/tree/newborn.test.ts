/** The first file made in a directory speaks for those made behind it: only as far as they are alike. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { FileMetadata, FileOperation } from '../../../src/domain/file-operation.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { apply, directory, entry, file, metadata, METADATA, refusals, rel, xattr } from '../../zoo/tree-pair.ts'

const signal = new AbortController().signal
const MODES = [0o644, 0o644, 0o600, 0o644, 0o777, 0o777, 0o4755, 0o4755, 0o2755, 0o000, 0o666, 0o666]

/** How a directory can be made to give its files what they should not have. */
const SPOILT: Record<string, (path: string) => void> = {
  'an ordinary directory': () => undefined,
  'a directory that gives its group': (path) => { execFileSync('chown', [':77', path]); execFileSync('chmod', ['2775', path]) },
  'a default ACL with names': (path) => { execFileSync('setfacl', ['-d', '-m', 'u:55:rwx,g:66:rx', path]) },
  'a default ACL that only changes the mode': (path) => { execFileSync('setfacl', ['-d', '-m', 'u::r,g::rwx,o::rwx', path]) },
  'flags that are inherited': (path) => { execFileSync('chattr', ['+dA', path]) },
}

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  for (const [what, spoil] of Object.entries(SPOILT)) {
    void t.test(`files made behind each other get exactly their own metadata: ${what} (${type})`, { skip: MOUNT_SKIP }, async t => {
      using volume = mountLoop(type)
      const path = join(volume.path, 'd')
      mkdirSync(path)
      spoil(path)
      await using target = await openPosixTargetTree(volume.path, signal)
      await using source = await openPosixSourceTree(volume.path, signal)
      const wanted = new Map<string, Partial<FileMetadata>>()
      for (const [i, mode] of MODES.entries()) {
        wanted.set(`d/plain${String(i)}`, { mode })
        wanted.set(`d/owned${String(i)}`, { mode, uid: 1000, gid: 1001 })
        wanted.set(`d/noted${String(i)}`, { mode, xattrs: [xattr('user.note', String(i))] })
        wanted.set(`d/flagged${String(i)}`, { mode, flags: 0x40 })
      }
      t.same(refusals(await apply(target, ...[...wanted].map(([name, change]) => file(name, name, change)))), {})
      for (const [name, change] of wanted) {
        const core = (await entry(source, name))?.core
        t.match(core, { ...METADATA, ...change, atimeNs: undefined }, name)
        t.equal(core?.xattrs.length, change.xattrs?.length ?? 0, `${name} has no other attribute`)
      }
    })
  }
}

void t.test('a directory that changes within the batch makes its files be looked at again', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4')
  writeFileSync(join(volume.path, 'ballast'), '')
  await using target = await openPosixTargetTree(volume.path, signal)
  const group = { mode: 0o2770, gid: 77 }
  t.same(refusals(await apply(target, directory('d'), file('d/a', 'a'), metadata('d', group), file('d/b', 'b'), directory('d'), file('d/c', 'c', { flags: 0x40 }), directory('d', { flags: 0x40 }), file('d/d', 'd'))), {})
  t.same(['a', 'b', 'c', 'd'].map(name => statSync(join(volume.path, 'd', name)).gid), [0, 0, 0, 0])
  t.equal(execFileSync('lsattr', [join(volume.path, 'd/d')], { encoding: 'utf8' }).split(' ')[0]?.includes('d'), false)
})

void t.test('a hole behind data takes no room on XFS, whether the file is made with it or grows later', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('xfs')
  await using target = await openPosixTargetTree(volume.path, signal)
  const data = (offset: number): { offset: number, data: Buffer } => ({ offset, data: Buffer.alloc(70_000, 1) })
  const sizeBytes = 2_000_000
  const made: FileOperation = { kind: 'file', path: rel('made'), sizeBytes, complete: true, metadata: METADATA, extents: [data(0), data(131_072)] }
  t.same(refusals(await apply(target, made, { ...made, path: rel('grown'), sizeBytes: 201_072 }, { kind: 'write', path: rel('grown'), ...data(201_072) }, { kind: 'resize', path: rel('grown'), sizeBytes })), {})
  for (const [name, dataBytes] of [['made', 140_000], ['grown', 210_000]] as const) {
    const { blocks, size } = statSync(join(volume.path, name))
    t.equal(size, sizeBytes)
    t.ok(blocks * 512 < dataBytes + 32_768, `${name} takes ${String(blocks * 512)} bytes`)
  }
})
