/** What every TargetTree promises. */
import t, { type Test } from 'tap'
import { READ_ONLY_SUBVOLUME_FLAG, SUBVOLUME_FLAG } from '../../src/domain/file-operation.ts'
import { asOperationBatch, encodeOperation, encodeOperations } from '../../src/wire/operation-codec.ts'
import type { FileOperation } from '../../src/domain/file-operation.ts'
import { apply, content, describeTree, directory, entry, fifo, file, link, metadata, METADATA, refusals, rel, remove, rename, symlink, write, xattr, type OpenPair, type TreePair } from '../zoo/tree-pair.ts'

const signal = new AbortController().signal

export function targetTreeContract(name: string, open: OpenPair, skip: string | false = false): void {
  const check = (title: string, work: (pair: TreePair, t: Test) => Promise<void>): void => {
    void t.test(`${name}: ${title}`, { skip }, async t => {
      await using pair = await open()
      await work(pair, t)
    })
  }

  check('operations make what they say, and may be repeated', async ({ target, source }, t) => {
    const operations = [
      directory('d', { uid: 1, gid: 2, xattrs: [xattr('user.d', '1')] }), file('d/f', 'content', { mode: 0o4755, uid: 4_294_967_294 }), symlink('d/s', '/nowhere'), fifo('d/p'),
      { kind: 'node' as const, path: rel('d/c'), nodeType: 'character' as const, deviceMajor: 1, deviceMinor: 300, metadata: METADATA }, link('d/l', 'd/f'),
      file('\xff\xfe\n', ''), metadata('d', { uid: 1, gid: 2, mode: 0o750, xattrs: [xattr('user.d', '1')] }),
    ]
    const first = await apply(target, ...operations)
    t.same({ ...first, failures: refusals(first) }, { operations: 8, bytesWritten: 7, failures: {} })
    const once = await describeTree(source)
    t.equal(once.length, 7)
    t.same(refusals(await apply(target, ...operations)), {})
    t.same(await describeTree(source), once)
    t.equal((await entry(source, 'd/f'))?.mode, 0o4755)
    t.equal((await entry(source, 'd/f'))?.uid, 4_294_967_294)
    t.equal((await entry(source, 'd/s'))?.mtimeNs, METADATA.mtimeNs)
    t.equal((await entry(source, 'd'))?.mtimeNs, METADATA.mtimeNs)
  })

  check('a file is written in place, so its other names follow; behind a remove it is a new one', async ({ target, source }, t) => {
    await apply(target, file('a', 'old'), link('b', 'a'), file('a', 'newer'))
    t.equal(await content(source, 'b'), 'newer')
    t.equal((await entry(source, 'a'))?.linkCount, 2)
    await apply(target, remove('a'), file('a', 'own'))
    t.equal(await content(source, 'b'), 'newer')
    t.equal((await entry(source, 'b'))?.linkCount, 1)
  })

  check('whatever has the name gives way to another kind, a directory keeps its children', async ({ target, source }, t) => {
    const kinds = [file('x', 'f'), directory('x'), symlink('x', 'elsewhere'), fifo('x'), file('x', 'g')]
    for (const [i, operation] of kinds.entries()) {
      t.same(refusals(await apply(target, operation)), {}, String(i))
      t.equal((await entry(source, 'x'))?.type, operation.kind === 'node' ? 'fifo' : operation.kind)
    }
    await apply(target, directory('y'), file('y/child', 'c'), directory('y', { mode: 0o700 }))
    t.equal(await content(source, 'y/child'), 'c')
    await apply(target, symlink('y', 'other'))
    t.equal(await entry(source, 'y/child'), undefined)
  })

  check('an unfinished file does not get its times', async ({ target, source }, t) => {
    await apply(target, { kind: 'file', path: rel('f'), sizeBytes: 8, complete: false, metadata: METADATA, extents: [{ offset: 0, data: Buffer.from('half') }] })
    t.not((await entry(source, 'f'))?.mtimeNs, METADATA.mtimeNs)
    await apply(target, write('f', 4, 'done'), metadata('f'))
    t.equal((await entry(source, 'f'))?.mtimeNs, METADATA.mtimeNs)
    t.equal(await content(source, 'f'), 'halfdone')
  })

  check('write, punch and resize change only what they name', async ({ target, source }, t) => {
    const block = 'x'.repeat(65_536)
    await apply(target, file('f', block + block + block), { kind: 'punch', path: rel('f'), offset: 65_536, lengthBytes: 65_536 }, write('f', 10, 'y'))
    t.equal(await content(source, 'f'), `${block.slice(0, 10)}y${block.slice(11)}${'\0'.repeat(65_536)}${block}`)
    await using opened = await source.openFile(rel('f'), signal)
    t.same(await opened.extents(signal), [{ offset: 0, lengthBytes: 65_536 }, { offset: 131_072, lengthBytes: 65_536 }])
    await apply(target, { kind: 'resize', path: rel('f'), sizeBytes: 3 })
    t.equal(await content(source, 'f'), 'xxx')
  })

  check('a file has holes where no extent is, at its end too', async ({ target, source }, t) => {
    await apply(target, { kind: 'file', path: rel('f'), sizeBytes: 1_000_000, complete: true, metadata: METADATA, extents: [{ offset: 131_072, data: Buffer.alloc(65_536, 1) }] })
    await using opened = await source.openFile(rel('f'), signal)
    t.same(await opened.extents(signal), [{ offset: 131_072, lengthBytes: 65_536 }])
    t.equal(opened.sizeBytes, 1_000_000)
  })

  check('a link is another name of the file, and needs one', async ({ target, source }, t) => {
    await apply(target, file('a', 'A'), directory('d'), file('d/b', 'B'))
    t.same(refusals(await apply(target, link('d/b', 'a'), link('d/b', 'a'), link('c', 'missing'), link('e', 'd'), link('d/b', 'd/b'))), { 2: 'ENOENT', 3: 'EPERM' })
    t.equal((await entry(source, 'd/b'))?.inode, (await entry(source, 'a'))?.inode)
    t.equal((await entry(source, 'a'))?.linkCount, 2)
  })

  check('a name that is unshared goes only where its object has others, which stay', async ({ target, source }, t) => {
    await apply(target, directory('d'), file('d/f', 'F'), file('a', 'A'), link('b', 'a'), symlink('s', 'a'), link('d/s', 's'))
    const unshare = (path: string): FileOperation => ({ kind: 'unshare', path: rel(path) })
    t.same(refusals(await apply(target, unshare('d'), unshare('d/f'), unshare('b'), unshare('b'), unshare('a'), unshare('d/s'), unshare('d/f/below'), unshare('none/below'))), {})
    t.same((await describeTree(source)).map(line => line.split(' ')[0]), ['a', 'd', 'd/f', 's'])
    t.same(refusals(await apply(target, unshare(''))), { 0: 'EINVAL' })
  })

  check('a rename replaces what is there, and one of two names of a file goes', async ({ target, source }, t) => {
    await apply(target, directory('d'), file('d/f', 'F'), directory('full'), file('full/x', 'X'), file('a', 'A'), link('b', 'a'))
    t.same(refusals(await apply(target, rename('d', 'full'), rename('a', 'b'), rename('gone', 'z'), rename('full', 'full/sub'), rename('full/f', 'full'))), { 2: 'ENOENT', 3: 'EINVAL', 4: 'EINVAL' })
    t.same((await describeTree(source)).map(line => line.split(' ')[0]), ['b', 'full', 'full/f'])
    await apply(target, file('full/new', 'in the moved directory'), rename('full', 'moved'), file('moved/more', 'm'))
    t.same((await describeTree(source)).map(line => line.split(' ')[0]), ['b', 'moved', 'moved/f', 'moved/more', 'moved/new'])
  })

  check('a remove takes everything below, and nothing there is fine', async ({ target, source }, t) => {
    await apply(target, directory('d'), directory('d/e'), file('d/e/f', 'F'), symlink('d/s', '..'), fifo('d/p'), file('keep', 'K'))
    t.same(refusals(await apply(target, remove('d'), remove('d'), remove('d/e/f'), remove('keep/below'))), {})
    t.same((await describeTree(source)).map(line => line.split(' ')[0]), ['keep'])
  })

  check('metadata replaces all of it, also of the root, and of a directory after its children', async ({ target, source }, t) => {
    await apply(target, file('f', 'F', { xattrs: [xattr('user.a', '1'), xattr('user.b', '2')] }), metadata('f', { mode: 0o600, xattrs: [xattr('user.b', '3')] }))
    t.same((await entry(source, 'f'))?.core.xattrs.map(x => `${x.name.toString()}=${x.value.toString()}`), ['user.b=3'])
    await apply(target, metadata('', { mode: 0o700 }), directory('', { mode: 0o711 }))
    t.match(await entry(source, ''), { mode: 0o711, mtimeNs: METADATA.mtimeNs })
    await apply(target, directory('d'), file('d/f', ''), directory('d'))
    t.equal((await entry(source, 'd'))?.mtimeNs, METADATA.mtimeNs)
  })

  check('nothing is reached through a symbolic link', async ({ target, source }, t) => {
    const result = await apply(target, directory('inside'), symlink('s', 'inside'), file('s/f', 'F'), write('s', 0, 'W'), directory('s/d'), remove('s/f'), rename('s/f', 'g'), link('s/l', 'inside'))
    t.same(result.failures.map(f => f.index), [2, 3, 4, 6, 7])
    t.same((await describeTree(source)).map(line => line.split(' ')[0]), ['inside', 's'])
  })

  check('a read-only subvolume is filled before it is one, or is a directory where there are none, which is told', async ({ target, source }, t) => {
    const flags = SUBVOLUME_FLAG | READ_ONLY_SUBVOLUME_FLAG
    t.same(refusals(await apply(target, file('g', 'G', { flags }))), { 0: 'EINVAL' })
    const { failures } = await apply(target, directory('d', { flags }), file('d/f', 'F'), metadata('d', { flags }))
    const refused = failures.map(({ index, errno, what, partial }) => ({ index, errno, what, partial }))
    if (refused.length > 0) t.same(refused, [0, 2].map(index => ({ index, errno: 'EOPNOTSUPP', what: 'btrfs subvolume', partial: true })))
    await target.flush(signal)
    t.equal((await entry(source, 'd'))?.flags, refused.length > 0 ? 0 : flags)
    t.same(refusals(await apply(target, file('d/g', 'G'))), {})
    await target.flush(signal)
    t.equal((await entry(source, 'd'))?.flags, refused.length > 0 ? 0 : flags)
    t.equal(await content(source, 'd/g'), 'G')
    t.same(refusals(await apply(target, remove('d'))), {})
  })

  check('a failing operation is told by its position and the next one goes on', async ({ target, source }, t) => {
    const result = await apply(target, file('a', 'A'), write('gone', 0, 'x'), file('no/such/directory', ''), file('b', 'B'), remove(''))
    t.same(refusals(result), { 1: 'ENOENT', 2: 'ENOENT', 4: 'EINVAL' })
    t.equal(result.failures[0]?.kind, 'write')
    t.same(result.failures[0]?.path, rel('gone'))
    t.equal(await content(source, 'b'), 'B')
  })

  check('bytes that are no operations are refused and nothing of them is applied', async ({ target, source }, t) => {
    const good = encodeOperation(file('a', 'A'))
    for (const bad of [Buffer.concat([good, Buffer.from([1])]), Buffer.concat([good, good.subarray(0, -1)]), dotDot()]) {
      await t.rejects(target.apply(asOperationBatch(bad), signal), { code: 'FRAME_INVALID' })
    }
    t.same(await describeTree(source), [])
  })

  check('block hashes tell blocks apart and end with the file', async ({ target, source }, t) => {
    await apply(target, file('f', 'a'.repeat(4096) + 'b'.repeat(4096) + 'a'.repeat(4096) + 'end'))
    const hashes = await target.blockHashes(rel('f'), 0, 1_000_000, 4096, signal)
    t.equal(hashes.length, 4 * 16)
    t.same(hashes.subarray(0, 16), hashes.subarray(32, 48))
    t.notSame(hashes.subarray(0, 16), hashes.subarray(16, 32))
    t.same(await target.blockHashes(rel('f'), 4096, 4096, 4096, signal), hashes.subarray(16, 32))
    t.equal((await target.blockHashes(rel('missing'), 0, 10, 4096, signal)).length, 0)
    await using opened = await source.openFile(rel('f'), signal)
    t.same(await opened.blockHashes(0, 1_000_000, 4096, signal), hashes)
  })

  check('an aborted call has no effect', async ({ target, source }, t) => {
    await t.rejects(target.apply(encodeOperations([file('a', 'A')]), AbortSignal.abort()))
    t.same(await describeTree(source), [])
    await target.flush(signal)
  })
}

/** A remove whose path is "..", which the encoder would not make. */
function dotDot(): Buffer {
  const bytes = Buffer.from(encodeOperation(remove('ab')))
  bytes.write('..', bytes.length - 2)
  return bytes
}
