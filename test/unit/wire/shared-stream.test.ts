import t from 'tap'
import { parseRelPath, type RelPath } from '../../../src/domain/rel-path.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { encodeOperation, type OperationBatch } from '../../../src/wire/operation-codec.ts'
import { shareStream } from '../../../src/wire/shared-stream.ts'
import { TreeStream } from '../../tree-stream.ts'

const SIGNAL = new AbortController().signal
const path = (text: string): RelPath => parseRelPath(Buffer.from(text))
const refused = (at: string): OperationBatch => encodeOperation({ kind: 'resize', path: path(at), sizeBytes: 1 })

t.test('each view is told of the failures of its own operations, and of its own sequences', async t => {
  const stream = new TreeStream(new Map([[0, new MemoryTree()]]))
  await stream.send(0, refused('before'), SIGNAL)
  stream.takeFailures()
  const { mirror, replication } = shareStream(stream, () => ({ mirror: 1, replication: 1 }))
  t.equal(mirror.sent, 1)
  const sent = await Promise.all([mirror.send(0, refused('m1'), SIGNAL), replication.send(0, refused('r1'), SIGNAL), mirror.send(0, refused('m2'), SIGNAL), mirror.send(0, refused('m3'), SIGNAL)])
  t.same(sent.toSorted((a, b) => a - b), [2, 3, 4, 5])
  const named = (of: typeof mirror): string[] => of.takeFailures().map(failure => Buffer.from(failure.path, 'base64').toString()).sort()
  t.same(named(replication), ['r1'])
  t.same(named(mirror), ['m1', 'm2', 'm3'])
  t.same(named(mirror), [])
  await replication.send(0, refused('r2'), SIGNAL)
  t.equal(mirror.applied, mirror.sent, 'what the other has sent behind is not counted')
  t.same(named(mirror), [])
  t.same(named(replication), ['r2'])
  t.equal(await mirror.send(0, Buffer.alloc(0) as OperationBatch, SIGNAL), mirror.sent, 'nothing is not sent')
  t.equal(replication.bytesSent + mirror.bytesSent, stream.bytesSent)
  t.equal(replication.bytesSent, refused('r1').length + refused('r2').length)
})
