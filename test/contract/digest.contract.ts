/** What trees that are seen whole promise about the digests of their directories. */
import t from 'tap'
import type { RelPath } from '../../src/domain/rel-path.ts'
import { apply, directory, fifo, file, link, metadata, rel, remove, rename, symlink, xattr, type OpenPair } from '../zoo/tree-pair.ts'

const signal = new AbortController().signal

export function digestContract(name: string, open: OpenPair, skip: string | false = false): void {
  void t.test(`${name}: two directories have one digest when nothing in them differs that a mirror would carry over`, { skip }, async t => {
    await using one = await open()
    await using two = await open()
    const both = [directory('d'), file('d/f', 'content', { xattrs: [xattr('user.x', 'y')] }), symlink('d/s', 'target'), directory('d/e'), fifo('d/p'), directory('d', { mode: 0o711 })]
    for (const pair of [one, two]) await apply(pair.target, ...both)
    const digestOf = async (): Promise<{ path: RelPath, digest: Buffer }> => {
      const [digested] = await one.source.digest([rel('d')], signal)
      t.match(digested?.count, { files: 4, bytes: 7 })
      t.same(digested?.subdirectories.map(name => name.toString()), ['e'])
      return { path: rel('d'), digest: digested?.digest ?? Buffer.alloc(0) }
    }
    const same = async (): Promise<number | undefined> => (await two.target.same([await digestOf()], signal))[0]
    t.equal(await same(), 1)
    t.same(await two.target.same([{ ...await digestOf(), path: rel('gone') }, { path: rel('d'), digest: Buffer.alloc(16) }], signal), Buffer.from([0, 0]))
    await apply(two.target, metadata('d', { mode: 0o700 }), file('d/e/inside', 'x'), directory('d/e'))
    t.equal(await same(), 1, 'what is above and below is not in it')
    const changes = [
      metadata('d/f', { mode: 0o600, xattrs: [xattr('user.x', 'y')] }), metadata('d/f', { mtimeNs: 5n, xattrs: [xattr('user.x', 'y')] }), metadata('d/f', { xattrs: [xattr('user.x', 'z')] }),
      metadata('d/f', { uid: 3, xattrs: [xattr('user.x', 'y')] }), file('d/f', 'content!', { xattrs: [xattr('user.x', 'y')] }), directory('d/e', { mode: 0o700 }), symlink('d/s', 'another'), file('d/p', ''), file('d/new', ''), remove('d/s'),
      rename('d/e', 'd/g'), metadata('d/p', { gid: 9 }),
    ]
    for (const [i, change] of changes.entries()) {
      await apply(two.target, change)
      t.equal(await same(), 0, `change ${String(i)}`)
      await apply(two.target, remove('d'), ...both)
      t.equal(await same(), 1)
    }
    await apply(two.target, link('other', 'd/f'))
    t.equal(await same(), 0, 'a second name')
    await apply(one.target, link('d/other', 'd/f'))
    t.equal((await one.source.digest([rel('d'), rel('gone')], signal)).map(d => d.digest).join(), ',')
  })
}
