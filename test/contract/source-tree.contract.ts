/** What every SourceTree promises. */
import t from 'tap'
import { ROOT_PATH } from '../../src/domain/rel-path.ts'
import { AppError, isAppError } from '../../src/errors/app-error.ts'
import { listingEntries } from '../../src/wire/listing-codec.ts'
import { decodeOperations } from '../../src/wire/operation-codec.ts'
import { apply, directory, entry, fifo, file, link, METADATA, metadata, rel, symlink, xattr, type OpenPair } from '../zoo/tree-pair.ts'

const signal = new AbortController().signal
const ALL = { smallFileBytes: 1 << 20, maxBatchBytes: 1 << 20 }

function readable<Found>(found: Found | AppError): Found {
  if (found instanceof AppError) throw found
  return found
}

export function sourceTreeContract(name: string, open: OpenPair, skip: string | false = false): void {
  void t.test(`${name}: entries come in the order of their bytes, each once, over all pages`, { skip }, async t => {
    await using pair = await open()
    const names = ['B', 'a', '\xff', 'a!', 'aa', ...Array.from({ length: 1000 }, (_, i) => `n${String(i)}`)]
    await apply(pair.target, ...names.map(n => file(n, '')))
    const listed: Buffer[] = []
    for await (const page of pair.source.list(ROOT_PATH, signal)) for (const e of listingEntries(page)) listed.push(Buffer.from(e.name))
    t.same(listed, names.map(n => Buffer.from(n, 'latin1')).toSorted((a, b) => Buffer.compare(a, b)))
  })

  void t.test(`${name}: a missing directory lists nothing, a file neither, and looking at nothing finds nothing`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, file('f', 'F'))
    for (const path of ['missing', 'f', 'f/below']) {
      for await (const page of pair.source.list(rel(path), signal)) t.fail(`page of ${String(page.length)} bytes`)
    }
    t.equal(await entry(pair.source, 'missing'), undefined)
    t.equal(await entry(pair.source, 'f/below'), undefined)
    t.equal(await pair.source.readMetadata(rel('missing'), signal), undefined)
    t.equal((await entry(pair.source, ''))?.type, 'directory')
    t.equal((await entry(pair.source, ''))?.name.length, 0)
  })

  void t.test(`${name}: reading gives the operations that make the entries again`, { skip }, async t => {
    await using pair = await open()
    const made = [directory('d/e', { uid: 7 }), file('d/f', 'content', { xattrs: [xattr('user.x', 'y')], mode: 0o6711 }), fifo('d/p'), symlink('d/s', 'target')]
    await apply(pair.target, directory('d'), ...made)
    const read = await pair.source.read(['d/e', 'd/f', 'd/p', 'd/s'].map(rel), ALL, signal)
    t.same({ ...read, batch: undefined }, { batch: undefined, taken: 4, large: [], findings: [] })
    const expected = made.map(o => (o.kind === 'symlink' ? { ...o, metadata: { ...METADATA, mode: 0o777 } } : o))
    t.same([...decodeOperations(read.batch)], expected)
  })

  void t.test(`${name}: a batch ends at its limit, large files are named, what is gone is a finding`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, file('a', 'x'.repeat(1000)), file('b', 'x'.repeat(1000)), file('large', 'x'.repeat(5000)), file('z', ''))
    const paths = ['a', 'b', 'gone', 'large', 'z'].map(rel)
    const first = await pair.source.read(paths, { smallFileBytes: 4999, maxBatchBytes: 500 }, signal)
    t.equal(first.taken, 1)
    const rest = await pair.source.read(paths.slice(1), { smallFileBytes: 4999, maxBatchBytes: 5000 }, signal)
    t.equal(rest.taken, 4)
    t.same(rest.large, [2])
    t.same(rest.findings.map(f => [f.code, f.subject]), [['FILE_VANISHED', 'gone']])
    t.same([...decodeOperations(rest.batch)].map(o => o.path.toString()), ['b', 'z'])
    const missing = await pair.source.read(['no/x', 'a/x'].map(rel), ALL, signal)
    t.equal(missing.taken, 2)
    t.same(missing.findings.map(f => [f.code, f.subject]), [['FILE_VANISHED', 'no/x'], ['FILE_VANISHED', 'a/x']])
  })

  void t.test(`${name}: what lies in several directories is read in the order that it is asked for`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, directory('d'), directory('d/e'), file('d/e/f', '1'), directory('o'), file('o/f', '2'), file('f', '3'))
    const paths = ['o/f', 'd/e/f', 'f', 'd/e', 'o/gone', 'o']
    const { batch, taken, findings } = await pair.source.read(paths.map(rel), ALL, signal)
    t.equal(taken, paths.length)
    t.same([...decodeOperations(batch)].map(o => `${o.kind} ${o.path.toString()}`), ['file o/f', 'file d/e/f', 'file f', 'directory d/e', 'directory o'])
    t.same(findings.map(f => f.subject), ['o/gone'])
  })

  void t.test(`${name}: of changed ranges it tells the data that is in them, and the size of now`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, file('f', 'x'.repeat(8192)))
    await apply(pair.target, { kind: 'write', path: rel('f'), offset: 65536, data: Buffer.alloc(5000, 1) }, directory('d'), file('d/f', 'abc'))
    const ranges = [{ offset: 4096, lengthBytes: 40960 }, { offset: 65536, lengthBytes: Number.MAX_SAFE_INTEGER - 65536 }]
    const opened = await pair.source.openSettled([
      { path: rel('f'), ranges }, { path: rel('gone'), ranges }, { path: rel('d/f'), ranges: [{ offset: 0, lengthBytes: 2 }] }, { path: rel('d'), ranges: [] },
      { path: rel('f'), ranges: [{ offset: 1 << 30, lengthBytes: 4096 }] }, { path: rel('d/f'), ranges: [] },
    ], signal)
    const told: unknown[] = []
    for (const one of opened) {
      if (isAppError(one)) told.push(one.code)
      else {
        told.push([one.file.sizeBytes, ...one.extents], (await one.file.read(0, 1, signal)).toString())
        await one.file[Symbol.asyncDispose]()
      }
    }
    t.same(told, [
      [70536, { offset: 4096, lengthBytes: 4096 }, { offset: 65536, lengthBytes: 5000 }], 'x', 'SOURCE_MISSING', [3, { offset: 0, lengthBytes: 2 }], 'a', 'SOURCE_MISSING',
      [70536], 'x', [3], 'a',
    ])
  })

  void t.test(`${name}: many names are looked at in one call, and their metadata is that of one by one`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, directory('d'), directory('d/e'), file('d/f', 'content', { xattrs: [xattr('user.x', 'y')] }), link('d/g', 'd/f'), symlink('s', 'd'))
    const names = ['d/f', 'd/gone', 'no/such', 'd/f/below', 'd/e', 's', '', 'd/g'].map(rel)
    const found = (await pair.source.lookAll(names, signal)).map(readable)
    t.same(found.map(e => e === undefined ? '' : `${e.type} ${e.name.toString()} ${String(e.linkCount)}`), ['file f 2', '', '', '', found[4] === undefined ? '?' : `directory e ${String(found[4].linkCount)}`, 'symlink s 1', found[6] === undefined ? '?' : `directory  ${String(found[6].linkCount)}`, 'file g 2'])
    const seen = (await pair.source.readMetadataAll(names, signal)).map(readable)
    t.same(seen.map(one => one?.inode), found.map(e => e?.inode))
    t.same(seen.map(one => one?.isDirectory), found.map(e => e === undefined ? undefined : e.type === 'directory'))
    for (const [at, path] of names.entries()) {
      const alone = await pair.source.readMetadata(path, signal)
      t.same(seen[at]?.batch, alone, path.toString())
    }
    t.same(await pair.source.lookAll([], signal), [])
  })

  void t.test(`${name}: a small file keeps its holes`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, { kind: 'file', path: rel('f'), sizeBytes: 400_000, complete: true, metadata: METADATA, extents: [{ offset: 131_072, data: Buffer.alloc(65_536, 7) }, { offset: 262_144, data: Buffer.alloc(65_536) }] })
    const { batch } = await pair.source.read([rel('f')], ALL, signal)
    const operation = [...decodeOperations(batch)][0]
    t.same(operation?.kind === 'file' ? operation.extents.map(e => [e.offset, e.data.length]) : [], [[131_072, 65_536], [262_144, 65_536]])
  })

  void t.test(`${name}: an open file is read in pieces, and only a regular file opens`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, file('f', '0123456789'), symlink('s', 'f'), fifo('p'), directory('d'))
    for (const path of ['s', 'p', 'd', 'missing', 'missing/f']) await t.rejects(pair.source.openFile(rel(path), signal), { code: 'SOURCE_MISSING' }, path)
    await using opened = await pair.source.openFile(rel('f'), signal)
    t.equal(opened.sizeBytes, 10)
    t.equal((await opened.read(3, 4, signal)).toString(), '3456')
    t.equal((await opened.read(8, 100, signal)).toString(), '89')
    t.equal((await opened.read(20, 5, signal)).length, 0)
    await opened.clean(0, 10, signal)
    t.same([...decodeOperations(await opened.metadata(signal))], [{ kind: 'metadata', path: rel('f'), metadata: METADATA }])
    await opened[Symbol.asyncDispose]()
    await t.rejects(opened.read(0, 1, signal))
  })
  void t.test(`${name}: whole directories are read with all they hold, and each gets its times at its end`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, directory('d'), directory('d/e', { uid: 7 }), file('d/f', 'content', { xattrs: [xattr('user.x', 'y')] }), symlink('d/s', 'target'), directory('n'), directory('o'), fifo('o/p'), metadata('d', { mode: 0o711 }), metadata('o', { mode: 0o700 }))
    const read = await pair.source.readDirectories(['d', 'gone', 'n', 'o'].map(rel), ALL, signal)
    t.same(read.findings, [])
    const nothing = { files: 0, bytes: 0 }
    t.match(read.directories.map(d => [[...listingEntries(d.page)].map(e => `${e.type} ${e.name.toString()}`), d.left, d.made, d.settled]), [
      [['directory e'], [], { files: 3, bytes: 7 }, true], [[], [], nothing, true], [[], [], nothing, true], [[], [], { files: 1, bytes: 0 }, true],
    ])
    const made = [...decodeOperations(read.batch)]
    t.same(made.map(o => `${o.kind} ${o.path.toString()}`), ['directory d/e', 'file d/f', 'symlink d/s', 'metadata d', 'node o/p', 'metadata o'])
    const [e, f] = [await pair.source.read(['d/e', 'd/f'].map(rel), ALL, signal), made.slice(0, 2)]
    t.same(f, [...decodeOperations(e.batch)], 'entries are read as one by one')
    t.same(made[3], { ...metadata('d'), metadata: { ...METADATA, mode: 0o711, mtimeNs: made[3]?.kind === 'metadata' ? made[3].metadata.mtimeNs : 0n, atimeNs: made[3]?.kind === 'metadata' ? made[3].metadata.atimeNs : 0n } })
  })

  void t.test(`${name}: of a whole directory is left what has several names, is large, or is too much`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, directory('d'), file('d/a', 'a'), link('d/b', 'd/a'), file('d/c', 'x'.repeat(5000)), file('d/e', 'y'.repeat(3000)), directory('d/f'), file('d/g', 'z'), directory('h'))
    const read = await pair.source.readDirectories([rel('d'), rel('h')], { smallFileBytes: 4999, maxBatchBytes: 1500 }, signal)
    const names = read.directories.map(d => [...listingEntries(d.page)].map(e => e.name.toString()).join(' '))
    t.match(read.directories.map(d => [d.left, d.made, d.settled]), [[[0, 1, 2, 3, 4], { files: 1, bytes: 3000 }, false]], 'and the next directory is for the next call')
    t.same(names, ['a b c f g'])
    t.same([...decodeOperations(read.batch)].map(o => o.path.toString()), ['d/e'])
  })

  void t.test(`${name}: a directory with very many entries is not read whole`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, directory('d'), file('d/f', ''), directory('many'), ...Array.from({ length: 8193 }, (_, i) => fifo(`many/${String(i)}`)))
    t.equal((await pair.source.readDirectories([rel('d'), rel('many')], ALL, signal)).directories.length, 1)
    t.equal((await pair.source.readDirectories([rel('many')], ALL, signal)).directories.length, 0)
  })

  void t.test(`${name}: data is read as the operations that write it`, { skip }, async t => {
    await using pair = await open()
    await apply(pair.target, file('f', '0123456789'))
    await using opened = await pair.source.openFile(rel('f'), signal)
    const ranges = [{ offset: 8, lengthBytes: 100 }, { offset: 10, lengthBytes: 5 }, { offset: 0, lengthBytes: 3 }]
    t.same([...decodeOperations(await opened.readWrites(ranges, signal))], [{ kind: 'write', path: rel('f'), offset: 8, data: Buffer.from('89') }, { kind: 'write', path: rel('f'), offset: 0, data: Buffer.from('012') }])
    t.equal((await opened.readWrites(ranges.slice(1, 2), signal)).length, 0)
  })
  void t.test(`${name}: many directories are listed one after the other, each as by itself and with an end, on both sides`, { skip }, async t => {
    await using pair = await open()
    const many = Array.from({ length: 5000 }, (_, i) => fifo(`many/${String(i)}`))
    await apply(pair.target, directory('a'), file('a/f', 'x', { xattrs: [xattr('user.x', 'y')] }), directory('empty'), directory('many'), ...many, directory('z'), symlink('z/s', 'target'))
    const asked = ['a', 'gone', 'empty', 'many', 'z', 'a/f'].map(rel)
    for (const tree of [pair.source, pair.target]) {
      const found = asked.map(() => ({ bytes: [] as Buffer[], ends: 0 }))
      let before = 0
      for await (const { directory: number, page, last } of tree.listAll(asked, signal)) {
        t.ok(number === before, 'in the order of the question')
        found[number]?.bytes.push(Buffer.from(page))
        if (last) {
          before++
          const one = found[number]
          if (one !== undefined) one.ends++
        }
      }
      t.same(found.map(f => f.ends), asked.map(() => 1))
      for (const [i, path] of asked.entries()) {
        const alone: Buffer[] = []
        for await (const page of tree.list(path, signal)) alone.push(Buffer.from(page))
        t.ok(Buffer.concat(found[i]?.bytes ?? []).equals(Buffer.concat(alone)), path.toString())
      }
    }
  })
}
