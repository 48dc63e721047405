import { crc32 } from 'node:zlib'
import t from 'tap'
import { encodeFrameHead, FRAME_TYPES, frameType, MAX_BODY_BYTES, type FrameType } from '../../../src/wire/frame.ts'

const NOTHING = Buffer.alloc(0)

t.test('a body over the limit of its type is not written', async t => {
  for (const [type, limit] of Object.entries(MAX_BODY_BYTES)) t.throws(() => encodeFrameHead(type as FrameType, 0, NOTHING, Buffer.alloc(limit + 1)), RangeError, type)
})

t.test('the header is the documented one', async t => {
  t.equal(encodeFrameHead('operations', 0x0102, Buffer.from('ab'), Buffer.from('cd')).toString('hex'), `040000000000000002000201${Buffer.from('ab').toString('hex')}`)
})

t.test('control messages carry the checksum that version 1 wants to see before it understands a refusal', async t => {
  t.equal(encodeFrameHead('control', 0, Buffer.from('ab'), Buffer.from('cd')).readUInt32LE(4), crc32('abcd'))
})

t.test('types and their codes belong together, and unknown codes are refused with FRAME_INVALID', async t => {
  for (const [type, code] of Object.entries(FRAME_TYPES)) t.equal(frameType(code), type)
  for (const code of [0, 9, 15, 19, 255]) t.throws(() => frameType(code), { code: 'FRAME_INVALID' })
})
