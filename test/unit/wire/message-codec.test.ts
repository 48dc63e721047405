import fc from 'fast-check'
import t from 'tap'
import { isAppError } from '../../../src/errors/app-error.ts'
import { frameType, HEADER_BYTES, type Frame, type FrameType } from '../../../src/wire/frame.ts'
import { encodeListing } from '../../../src/wire/listing-codec.ts'
import { decodeMessage, encodeMessage } from '../../../src/wire/message-codec.ts'
import type { Message } from '../../../src/wire/messages.ts'
import { encodeOperations } from '../../../src/wire/operation-codec.ts'
import { listing, operation, path } from './arbitrary.ts'
import { propertyRuns } from '../../seed.ts'

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const volume = fc.integer({ min: 0, max: 65535 })
const kind = <K extends string>(k: K): fc.Arbitrary<K> => fc.constant(k)
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ type: kind('control'), control: fc.oneof(
    fc.record({ kind: kind('hold'), id: u32 }), fc.record({ kind: kind('acknowledge'), applied: fc.maxSafeNat(), durable: fc.maxSafeNat(), failures: fc.constant<never[]>([]) }),
    fc.record({ kind: kind('failed'), id: u32, code: fc.string(), message: fc.string({ unit: 'binary' }).filter(s => s.isWellFormed()) })) }),
  fc.record({ type: kind('operations'), volume, sequence: fc.maxSafeNat(), batch: fc.array(operation, { maxLength: 3 }).map(encodeOperations) }),
  fc.record({ type: kind('list'), volume, request: u32, directories: fc.array(path, { maxLength: 5 }) }),
  fc.record({ type: kind('listing'), volume, request: u32, directory: u32, last: fc.boolean(), page: listing.map(encodeListing) }),
  fc.record({ type: kind('hash'), volume, request: u32, path, offset: fc.integer({ min: 0, max: 2 ** 52 }), lengthBytes: fc.integer({ min: 0, max: 2 ** 28 }), blockBytes: fc.integer({ min: 4096, max: 2 ** 20 }) }),
  fc.record({ type: kind('digests'), volume, request: u32, directories: fc.array(fc.record({ path, digest: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(b => Buffer.from(b)) }), { maxLength: 5 }) }),
  fc.record({ type: kind('same'), volume, request: u32, same: fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 10 }).map(b => Buffer.from(b)) }),
  fc.record({ type: kind('hashes'), volume, request: u32, hashes: fc.uint8Array({ maxLength: 10 }).map(b => Buffer.alloc(b.length * 16, Buffer.from([...b, 1]))) }),
)

function frameOf(m: Message): Frame {
  const { head, body } = encodeMessage(m)
  return { type: frameType(head.readUInt8(8)), volume: head.readUInt16LE(10), body: Buffer.concat([head.subarray(HEADER_BYTES), body]) }
}

t.test('any message survives encoding and decoding unchanged', async t => {
  fc.assert(fc.property(message, m => {
    const back = decodeMessage(frameOf(m))
    return JSON.stringify(sorted(back)) === JSON.stringify(sorted(m)) && encodeMessage(m).sizeBytes === encodeMessage(m).head.length + encodeMessage(m).body.length
  }), propertyRuns(500))
  t.pass()
})

function sorted(m: Message): unknown {
  return Object.entries(m).sort(([a], [b]) => (a < b ? -1 : 1))
}

t.test('arbitrary bodies are refused with FRAME_INVALID or decode', async () => {
  fc.assert(fc.property(fc.constantFrom<FrameType>('control', 'operations', 'list', 'listing', 'hash', 'hashes', 'digests', 'same', 'credit', 'alive', 'bye'), fc.uint8Array({ maxLength: 80 }), (type, body) => {
    try {
      decodeMessage({ type, volume: 0, body: Buffer.from(body) })
      return true
    } catch (error) {
      return isAppError(error, 'FRAME_INVALID')
    }
  }), propertyRuns(2000))
})

const control = (text: string): Message => decodeMessage({ type: 'control', volume: 0, body: Buffer.from(text) })

t.test('control that is no JSON, of unknown kind, or with fields too many is refused with FRAME_INVALID', async t => {
  for (const text of ['', '{', '[]', '{"kind":"explode"}', '{"kind":"hold"}', '{"kind":"hold","id":-1}', '{"kind":"hold","id":1,"more":2}', '['.repeat(100_000)]) {
    t.throws(() => control(text), { code: 'FRAME_INVALID' }, text.slice(0, 40))
  }
})

t.test('hello and refuse of a later version are understood though they say more', async t => {
  t.match(control('{"kind":"hello","protocolVersion":9,"agentVersion":"9","captureEpoch":"","jobId":"","more":true}'), { control: { kind: 'hello', protocolVersion: 9 } })
  t.match(control('{"kind":"refuse","code":"PROTOCOL_VERSION","message":"m","more":true}'), { control: { kind: 'refuse' } })
})

t.test('requests that would cost the peer too much are refused with FRAME_INVALID', async t => {
  const hash = (lengthBytes: number, blockBytes: number): Frame => frameOf({ type: 'hash', volume: 0, request: 1, path: Buffer.from('f') as never, offset: 0, lengthBytes, blockBytes })
  t.throws(() => decodeMessage(hash(1, 0)), { code: 'FRAME_INVALID' }, 'blocks of nothing')
  t.throws(() => decodeMessage(hash(65537 * 4096, 4096)), { code: 'FRAME_INVALID' }, 'too many blocks')
  t.ok(decodeMessage(hash(65536 * 4096, 4096)))
  const directories = Buffer.alloc(4 + 1025 * 2)
  t.throws(() => decodeMessage({ type: 'list', volume: 0, body: directories }), { code: 'FRAME_INVALID' }, 'too many directories')
  t.throws(() => decodeMessage({ type: 'digests', volume: 0, body: Buffer.alloc(4 + 1025 * 18) }), { code: 'FRAME_INVALID' }, 'too many digests')
  t.throws(() => decodeMessage({ type: 'digests', volume: 0, body: Buffer.alloc(4 + 10) }), { code: 'FRAME_INVALID' }, 'half a digest')
  t.throws(() => decodeMessage({ type: 'same', volume: 0, body: Buffer.from([0, 0, 0, 0, 2]) }), { code: 'FRAME_INVALID' }, 'neither yes nor no')
  t.ok(decodeMessage(frameOf({ type: 'list', volume: 0, request: 1, directories: Array.from({ length: 64 }, () => Buffer.from(`${'a/'.repeat(2046)}bc`) as never) })), 'a group of the longest paths')
  t.throws(() => encodeMessage({ type: 'list', volume: 0, request: 1, directories: Array.from({ length: 1025 }, () => Buffer.alloc(0) as never) }), RangeError)
})

t.test('a batch goes to the wire without being copied', async t => {
  const batch = encodeOperations([])
  t.equal(encodeMessage({ type: 'operations', volume: 0, sequence: 1, batch }).body, batch)
})
