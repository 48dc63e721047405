import t from 'tap'
import { createMemoryChangeSource } from '../../../src/capture/memory-change-source.ts'
import type { ChangedRange } from '../../../src/capture/changed-range.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import type { FileMetadata, FileOperation } from '../../../src/domain/file-operation.ts'
import { isInLimbo } from '../../../src/domain/limbo.ts'
import { parseRelPath, type RelPath } from '../../../src/domain/rel-path.ts'
import { createReplicator } from '../../../src/replication/replicator.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { listingEntries } from '../../../src/wire/listing-codec.ts'
import { decodeOperations, encodeOperation, type OperationBatch } from '../../../src/wire/operation-codec.ts'
import { TreeStream } from '../../tree-stream.ts'

const SIGNAL = new AbortController().signal
const MIB = 1024 * 1024
const METADATA: FileMetadata = { mode: 0o644, uid: 1, gid: 2, flags: 0, projectId: 0, mtimeNs: 5n, atimeNs: 6n, xattrs: [] }
const at = (text: string): RelPath => parseRelPath(Buffer.from(text))

class Replicated {
  readonly source = new MemoryTree()
  readonly replica = new MemoryTree()
  readonly changes = createMemoryChangeSource()
  readonly stream = new (class extends TreeStream {
    /** what was sent, but for metadata, and for the limbo that is emptied at the start */
    readonly said: string[] = []
    asked = 0
    override async send(volume: number, batch: OperationBatch, signal: AbortSignal): Promise<number> {
      for (const operation of decodeOperations(batch)) if (operation.kind !== 'metadata' && !isInLimbo(operation.path)) this.said.push(wordsOf(operation))
      return await super.send(volume, batch, signal)
    }

    override async hashes(...args: Parameters<TreeStream['hashes']>): Promise<Buffer> {
      this.asked += args[3]
      return await super.hashes(...args)
    }
  })(new Map([[0, this.replica]]))

  async both(...operations: FileOperation[]): Promise<void> {
    for (const operation of operations) {
      await this.source.apply(encodeOperation(operation), SIGNAL)
      await this.replica.apply(encodeOperation(operation), SIGNAL)
    }
  }

  async does(...operations: FileOperation[]): Promise<void> {
    for (const operation of operations) await this.source.apply(encodeOperation(operation), SIGNAL)
  }

  async changed(path: string, ranges: readonly ChangedRange[] | undefined): Promise<void> {
    const { inode, linkCount } = await this.#object(path)
    this.changes.mark({ kind: 'data', volume: 0, path: at(path), object: { inode, linkCount }, ...(ranges === undefined ? {} : { ranges }), atMs: 1 })
  }

  /** It changed through a name that is gone. */
  async changedSomewhere(path: string): Promise<void> {
    const { inode } = await this.#object(path)
    this.changes.mark({ kind: 'object', volume: 0, inode, atMs: 1 })
  }

  async #object(path: string): Promise<{ inode: bigint, linkCount: number }> {
    const page = await this.source.look(at(path), SIGNAL)
    for (const entry of page === undefined ? [] : listingEntries(page)) return entry
    throw new Error(`${path} is not there`)
  }

  async drain(): Promise<string[]> {
    const { source, changes, stream } = this
    await createReplicator({ volumes: new Map([[0, source]]), changes, stream, report: () => undefined, clock: systemClock }).drain({}, SIGNAL)
    return stream.said.splice(0)
  }

  async equal(path: string): Promise<boolean> {
    await using ours = await this.source.openFile(at(path), SIGNAL)
    await using theirs = await this.replica.openFile(at(path), SIGNAL)
    return ours.sizeBytes === theirs.sizeBytes && (await ours.read(0, 64 * MIB, SIGNAL)).equals(await theirs.read(0, 64 * MIB, SIGNAL))
  }
}

function wordsOf(operation: FileOperation): string {
  if (operation.kind === 'write') return `write ${String(operation.offset)}+${String(operation.data.length)}`
  if (operation.kind === 'punch') return `punch ${String(operation.offset)}+${String(operation.lengthBytes)}`
  return operation.kind === 'resize' ? `resize ${String(operation.sizeBytes)}` : operation.kind
}

const file = (path: string, sizeBytes = 2 * MIB): FileOperation => ({ kind: 'file', path: at(path), sizeBytes, complete: true, metadata: METADATA, extents: [{ offset: 0, data: Buffer.alloc(sizeBytes, 1) }] })
const write = (path: string, offset: number, lengthBytes: number): FileOperation => ({ kind: 'write', path: at(path), offset, data: Buffer.alloc(lengthBytes, 2) })

void t.test('only what was stored to is read and sent, without a question', async t => {
  const of = new Replicated()
  await of.both(file('f'))
  await of.does(write('f', 409_600, 4096), write('f', 1_228_800, 8192))
  await of.changed('f', [{ offset: 409_600, lengthBytes: 4096, sure: true }, { offset: 1_228_800, lengthBytes: 8192, sure: true }])
  t.same(await of.drain(), [`resize ${String(2 * MIB)}`, 'write 409600+4096', 'write 1228800+8192'])
  t.equal(of.stream.asked, 0)
  t.ok(await of.equal('f'))
})

void t.test('where it is not sure, the blocks that differ are found in the range', async t => {
  const of = new Replicated()
  await of.both(file('f'))
  await of.does(write('f', 409_600, 4096))
  await of.changed('f', [{ offset: 393_216, lengthBytes: 65_536, sure: false }])
  t.same(await of.drain(), [`resize ${String(2 * MIB)}`, 'write 409600+4096'])
  t.equal(of.stream.asked, 65_536)
  t.ok(await of.equal('f'))
})

void t.test('a file that shrank and has a hole in the range is made so', async t => {
  const of = new Replicated()
  await of.both(file('f'))
  await of.does({ kind: 'resize', path: at('f'), sizeBytes: MIB }, { kind: 'punch', path: at('f'), offset: 65_536, lengthBytes: 65_536 })
  await of.changed('f', [{ offset: 65_536, lengthBytes: 65_536, sure: false }, { offset: MIB, lengthBytes: MIB, sure: false }])
  t.same(await of.drain(), [`resize ${String(MIB)}`, 'punch 65536+65536'])
  t.ok(await of.equal('f'))
})

void t.test('two names of one object, each changed in other ranges, are both brought over', async t => {
  const of = new Replicated()
  await of.both(file('a'), { kind: 'link', path: at('b'), existing: at('a') })
  await of.does(write('a', 0, 4096), write('a', 40_960, 4096))
  await of.changed('a', [{ offset: 0, lengthBytes: 4096, sure: true }])
  await of.changed('b', [{ offset: 40_960, lengthBytes: 4096, sure: true }])
  t.same((await of.drain()).filter(said => said.startsWith('write')), ['write 0+4096', 'write 40960+4096'])
  t.ok(await of.equal('b'))
})

void t.test('without ranges the whole file is compared', async t => {
  const of = new Replicated()
  await of.both(file('f'))
  await of.does(write('f', 409_600, 4096))
  await of.changed('f', undefined)
  t.same((await of.drain()).filter(said => said.startsWith('write')), ['write 409600+4096'])
  t.equal(of.stream.asked, 2 * MIB)
})

void t.test('a file that also changed elsewhere, through a name that is gone, is compared as a whole', async t => {
  const of = new Replicated()
  await of.both(file('f'), file('a'), { kind: 'link', path: at('b'), existing: at('a') })
  for (const name of ['f', 'a']) {
    await of.does(write(name, 0, 4096), write(name, 409_600, 4096))
    await of.changed(name, [{ offset: 409_600, lengthBytes: 4096, sure: true }])
    await of.changedSomewhere(name)
  }
  await of.drain()
  t.ok(await of.equal('f'))
  t.ok(await of.equal('b'))
})
