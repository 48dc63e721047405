import fc from 'fast-check'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { isAppError } from '../../../src/errors/app-error.ts'
import { encodeFrameHead, FrameParser, MAX_BODY_BYTES, type Frame, type FrameType } from '../../../src/wire/frame.ts'

const NOTHING = Buffer.alloc(0)
const bytes = (frame: Frame): Buffer => Buffer.concat([encodeFrameHead(frame.type, frame.volume, NOTHING, frame.body), frame.body])
const frame: fc.Arbitrary<Frame> = fc.record({
  type: fc.constantFrom<FrameType>('control', 'operations', 'list', 'listing', 'hash', 'hashes'),
  volume: fc.integer({ min: 0, max: 65535 }),
  body: fc.uint8Array({ maxLength: 200 }).map(b => Buffer.from(b)),
})

/** What a parser gives for a stream cut at these places, and the code with which it ends. */
function parse(stream: Buffer, cuts: readonly number[]): { frames: Frame[], code: string, atBoundary: boolean } {
  const parser = new FrameParser()
  const frames: Frame[] = []
  const places = [...new Set(cuts.map(c => c % (stream.length + 1)))].sort((a, b) => a - b)
  try {
    for (let i = 0, at = 0; i <= places.length; i++) {
      const end = places[i] ?? stream.length
      for (const f of parser.push(stream.subarray(at, end))) frames.push({ ...f, body: Buffer.from(f.body) })
      at = end
    }
    return { frames, code: '', atBoundary: parser.atBoundary }
  } catch (error) {
    return { frames, code: isAppError(error) ? error.code : String(error), atBoundary: false }
  }
}

t.test('frames come out as they went in, however the stream is cut', async t => {
  fc.assert(fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 20 }), (frames, cuts) => {
    const result = parse(Buffer.concat(frames.map(bytes)), cuts)
    return result.code === '' && result.atBoundary && JSON.stringify(result.frames) === JSON.stringify(frames)
  }), { numRuns: 500 })
  const one: Frame = { type: 'operations', volume: 7, body: Buffer.from('body') }
  t.same(parse(bytes(one), Array.from({ length: 16 }, (_, i) => i)).frames, [one], 'byte by byte')
})

t.test('a damaged stream ends with FRAME_INVALID or waits for more, the same however it is cut', async () => {
  fc.assert(fc.property(fc.array(frame, { minLength: 1, maxLength: 4 }), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.array(fc.nat(), { maxLength: 10 }), (frames, where, flip, cuts) => {
    const stream = Buffer.concat(frames.map(bytes))
    const at = where % stream.length
    stream.writeUInt8(stream.readUInt8(at) ^ flip, at)
    const whole = parse(stream, [])
    const cut = parse(stream, cuts)
    const volumeOrTypeOnly = whole.code === '' && whole.frames.length === frames.length // the checksum covers the body only
    return (whole.code === 'FRAME_INVALID' || volumeOrTypeOnly || !whole.atBoundary) && JSON.stringify(cut) === JSON.stringify(whole)
  }), { numRuns: 1000 })
})

t.test('arbitrary bytes end with FRAME_INVALID or wait for more', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), fc.array(fc.nat(), { maxLength: 8 }), (stream, cuts) => ['', 'FRAME_INVALID'].includes(parse(Buffer.from(stream), cuts).code)), { numRuns: 2000 })
})

t.test('what a stranger says is refused by its first 12 bytes', async t => {
  for (const text of ['GET / HTTP/1.1\r\n', 'SSH-2.0-OpenSSH_9.2', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00', 'EHLO example.test\r\n']) {
    const parser = new FrameParser()
    t.throws(() => [...parser.push(Buffer.from(text, 'latin1').subarray(0, 12))], { code: 'FRAME_INVALID' }, JSON.stringify(text))
  }
})

t.test('a body over the limit of its type is refused before it is there', async t => {
  for (const [type, limit] of Object.entries(MAX_BODY_BYTES)) {
    const head = Buffer.from(encodeFrameHead(type as FrameType, 0, NOTHING, NOTHING))
    head.writeUInt32LE(limit + 1, 0)
    t.throws(() => [...new FrameParser().push(head)], { code: 'FRAME_INVALID' }, type)
  }
  t.throws(() => encodeFrameHead('alive', 0, Buffer.alloc(1), NOTHING), RangeError, 'and not written')
})

t.test('a wrong checksum, a reserved byte and an unknown type are refused with FRAME_INVALID', async t => {
  const good = bytes({ type: 'control', volume: 0, body: Buffer.from('{}') })
  for (const [title, at] of Object.entries({ checksum: 4, 'frame type': 8, 'reserved byte': 9, body: 12 })) {
    const bad = Buffer.from(good)
    bad.writeUInt8(bad.readUInt8(at) ^ 0x80, at)
    t.throws(() => [...new FrameParser().push(bad)], { code: 'FRAME_INVALID' }, title)
  }
})

t.test('the header is the documented one', async t => {
  const head = encodeFrameHead('operations', 0x0102, Buffer.from('ab'), Buffer.from('cd'))
  const crc = Buffer.alloc(4)
  crc.writeUInt32LE(crc32('abcd'))
  t.equal(head.toString('hex'), `04000000${crc.toString('hex')}02000201${Buffer.from('ab').toString('hex')}`)
})
