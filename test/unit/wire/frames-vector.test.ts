/** The stream in fixtures/wire: a frame of every type and many messages, which the addon takes apart as TypeScript made it. */
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { NO_MIRROR_PROGRESS } from '../../../src/domain/progress.ts'
import { NO_VERIFY_PROGRESS } from '../../../src/domain/verification.ts'
import { parseRelPath, ROOT_PATH } from '../../../src/domain/rel-path.ts'
import { native } from '../../../src/posix/native.ts'
import { encodeFrameHead, FRAME_TYPES, frameType } from '../../../src/wire/frame.ts'
import { asListingPage } from '../../../src/wire/listing-codec.ts'
import { decodeMessage, encodeMessage } from '../../../src/wire/message-codec.ts'
import type { Control, Message } from '../../../src/wire/messages.ts'
import { asOperationBatch } from '../../../src/wire/operation-codec.ts'

const fixture = (name: string): URL => new URL(`../../../fixtures/wire/${name}.hex`, import.meta.url)
const bytesOf = (name: string): Buffer => Buffer.from(readFileSync(fixture(name), 'utf8').replaceAll('\n', ''), 'hex')
const rel = (path: string): ReturnType<typeof parseRelPath> => parseRelPath(Buffer.from(path))
const replication = { queued: 1, changesApplied: 2, bytesSent: 3, recoveryPointLatencyMs: 4, latencyMsP50: 5, latencyMsP99: 6.5 }
const finding = { code: 'FILE_UNREADABLE', severity: 'error' as const, subject: 'a\\x0ab', message: 'it cannot be read', advice: 'look' }

const CONTROLS: readonly Control[] = [
  { kind: 'hello', protocolVersion: 1, agentVersion: '1', captureEpoch: 'e', jobId: 'j' }, { kind: 'prepared', id: 1, captureEpoch: 'e' },
  { kind: 'mirror-progress', id: 2, progress: NO_MIRROR_PROGRESS, findings: [finding] }, { kind: 'mirror-complete', id: 2, progress: NO_MIRROR_PROGRESS },
  { kind: 'verify-progress', id: 3, progress: NO_VERIFY_PROGRESS }, { kind: 'verify-complete', id: 3, progress: NO_VERIFY_PROGRESS },
  { kind: 'differences', id: 3, differences: [{ volume: 0, path: 'YQ==', type: 'file', moving: false, part: 0, aspects: [{ what: 'content', ranges: [[0, 4096]] }, { what: 'xattr', name: 'user.a', source: 'YQ==' }] }] },
  { kind: 'replication-progress', id: 4, progress: replication, findings: [] }, { kind: 'drained', id: 5, changes: 7, drainMs: 8.5, frozenAtMs: 9, progress: replication },
  { kind: 'held', id: 6, frozen: true }, { kind: 'thawed', id: 7 }, { kind: 'powering-off', id: 8 }, { kind: 'released', id: 9 }, { kind: 'listed', request: 1, bytes: 4096 }, { kind: 'flush' },
  { kind: 'transmission', how: { compression: 'medium', bandwidthBytesPerS: 3500 } },
  { kind: 'cancelled', id: 10 }, { kind: 'failed', id: 11, code: 'SOURCE_MISSING', message: 'gone' },
  { kind: 'acknowledge', applied: 2, durable: 1, failures: [{ sequence: 1, volume: 0, index: 0, operation: 'link', path: 'YQ==', errno: 'ENOENT', what: '', partial: false }] },
]

const MESSAGES: readonly Message[] = [
  ...CONTROLS.map((control): Message => ({ type: 'control', control })),
  { type: 'operations', volume: 3, sequence: 1, batch: asOperationBatch(bytesOf('every-kind.batch')) },
  { type: 'list', volume: 3, request: 1, directories: [ROOT_PATH, rel('d'), rel('d/e')] },
  { type: 'listing', volume: 3, request: 1, directory: 0, last: true, page: asListingPage(bytesOf('every-kind.listing')) },
  { type: 'hash', volume: 3, request: 2, path: rel('d/f'), offset: 4096, lengthBytes: 65536, blockBytes: 4096 },
  { type: 'hashes', volume: 3, request: 2, hashes: Buffer.alloc(32, 7) },
]

t.test('every message is in the stream, and comes out of it as it went in', async t => {
  const stream = Buffer.concat([
    ...MESSAGES.flatMap(message => { const { head, body } = encodeMessage(message); return [head, body] }),
    encodeFrameHead('credit', 0, Buffer.from('0001000000020000', 'hex'), Buffer.alloc(0)), encodeFrameHead('alive', 0, Buffer.alloc(0), Buffer.alloc(0)), encodeFrameHead('bye', 0, Buffer.alloc(0), Buffer.alloc(0)),
  ])
  const hex = `${stream.toString('hex').replace(/.{120}/g, '$&\n')}\n`
  if (process.env['GOLDEN'] === 'update') writeFileSync(fixture('every-kind.frames'), hex)
  t.equal(hex, readFileSync(fixture('every-kind.frames'), 'utf8'))
  for (const piece of [1, 13, 4096, stream.length]) {
    const { kinds, volumes, lengths, bodies, atBoundary, invalid } = native.framesOf(stream, piece)
    t.equal(invalid, '')
    t.ok(atBoundary)
    let at = 0
    const frames = kinds.map((kind, i) => {
      const body = bodies.subarray(at, at + (lengths[i] ?? 0))
      at += lengths[i] ?? 0
      return { type: frameType(kind), volume: volumes[i] ?? 0, body }
    })
    t.same(frames.slice(0, MESSAGES.length).map(decodeMessage), MESSAGES)
    t.same(frames.slice(MESSAGES.length).map(frame => frame.type), ['credit', 'alive', 'bye'])
    t.ok(frames.every(frame => frame.type in FRAME_TYPES))
  }
})

t.test('any cut of the stream is a stream that has not ended', async t => {
  const stream = bytesOf('every-kind.frames')
  const whole = native.framesOf(stream, stream.length).kinds.length
  for (let cut = 0; cut < stream.length; cut += 1 + cut % 37) {
    const { kinds, invalid, atBoundary } = native.framesOf(stream.subarray(0, cut), 64)
    if (invalid !== '' || kinds.length > whole || (kinds.length === whole) || (atBoundary && !boundaries(stream).has(cut))) t.fail(`cut at ${String(cut)}`)
  }
  t.pass()
})

function boundaries(stream: Buffer): Set<number> {
  const found = new Set([0])
  for (let at = 0; at < stream.length;) {
    at += 12 + stream.readUInt32LE(at)
    found.add(at)
  }
  return found
}
