import fc from 'fast-check'
import t from 'tap'
import type { FileMetadata, FileOperation } from '../../../src/domain/file-operation.ts'
import { parseRelPath, ROOT_PATH } from '../../../src/domain/rel-path.ts'
import { isAppError } from '../../../src/errors/app-error.ts'
import { asOperationBatch, decodeOperations, encodeOperation, encodeOperations, joinBatches } from '../../../src/wire/operation-codec.ts'
import { operation } from './arbitrary.ts'
import { propertyRuns } from '../../seed.ts'

const plain: FileMetadata = { mode: 0o644, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 0n, atimeNs: 0n, xattrs: [] }
const at = (text: string) => parseRelPath(Buffer.from(text))
const decode = (bytes: Buffer): FileOperation[] => [...decodeOperations(asOperationBatch(bytes))]

t.test('any operations survive encoding and decoding unchanged', async () => {
  fc.assert(fc.property(fc.array(operation, { maxLength: 8 }), operations => {
    const batch = encodeOperations(operations)
    const back = decode(batch)
    return encodeOperations(back).equals(batch) && JSON.stringify(back, big) === JSON.stringify(operations, big)
  }), propertyRuns(300))
})

function big(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value.toString()}n` : value
}

t.test('arbitrary bytes are refused with FRAME_INVALID or decode, and nothing else happens', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => refusesOrDecodes(Buffer.from(bytes))), propertyRuns(2000))
})

t.test('a valid batch with any byte changed or cut is refused with FRAME_INVALID or decodes', async () => {
  fc.assert(fc.property(fc.array(operation, { minLength: 1, maxLength: 3 }), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean(), (operations, where, value, cut) => {
    const bytes = Buffer.from(encodeOperations(operations))
    const i = where % bytes.length
    if (cut) return refusesOrDecodes(bytes.subarray(0, i))
    bytes[i] = value
    return refusesOrDecodes(bytes)
  }), propertyRuns(1000))
})

function refusesOrDecodes(bytes: Buffer): boolean {
  try {
    decode(bytes)
    return true
  } catch (error) {
    return isAppError(error, 'FRAME_INVALID')
  }
}

t.test('the bytes of an operation are the documented ones', async t => {
  t.equal(encodeOperation({ kind: 'remove', path: at('a/b') }).toString('hex'), '07000000' + '0a' + '00' + '0300' + '612f62')
  t.equal(encodeOperation({ kind: 'write', path: at('f'), offset: 2 ** 32 + 1, data: Buffer.from('xy') }).toString('hex'),
    '13000000' + '03' + '00' + '0100' + '66' + '0100000001000000' + '02000000' + '7879')
  t.equal(encodeOperation({ kind: 'metadata', path: ROOT_PATH, metadata: { ...plain, uid: 0xfffffffe, mtimeNs: -1n, xattrs: [{ name: Buffer.from('user.a'), value: Buffer.from('v') }] } }).toString('hex'),
    '3c000000' + '0b' + '00' + '0000' + 'a401' + 'feffffff' + '00000000' + '00000000' + '00000000' + 'ffffffffffffffff' + 'ffc99a3b'
    + '0100' + '06' + '757365722e61' + '01000000' + '76' + '0000000000000000' + '00000000')
})

t.test('extended attributes are written in name order', async t => {
  const xattrs = ['user.b', 'user.a'].map(name => ({ name: Buffer.from(name), value: Buffer.alloc(0) }))
  const [back] = decode(encodeOperation({ kind: 'metadata', path: at('f'), metadata: { ...plain, xattrs } }))
  t.ok(back?.kind === 'metadata')
  if (back?.kind === 'metadata') t.same(back.metadata.xattrs.map(x => x.name.toString()), ['user.a', 'user.b'])
})

t.test('what breaks a limit is refused with FRAME_INVALID', async t => {
  const metadata = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(encodeOperation({ kind: 'metadata', path: at('f'), metadata: { ...plain, xattrs: [{ name: Buffer.from('user.a'), value: Buffer.alloc(4) }] } }))
    change(bytes)
    return bytes
  }
  const symlink = (target: Buffer): Buffer => {
    const good = encodeOperation({ kind: 'symlink', path: at('l'), target: Buffer.from('t'), metadata: plain })
    const length = Buffer.alloc(2)
    length.writeUInt16LE(target.length)
    const bytes = Buffer.concat([good.subarray(0, 9), length, target, good.subarray(12)])
    bytes.writeUInt32LE(bytes.length - 4, 0)
    return bytes
  }
  const path = (text: string): Buffer => {
    const name = Buffer.from(text, 'latin1')
    const bytes = Buffer.alloc(8 + name.length)
    bytes.writeUInt32LE(4 + name.length, 0)
    bytes[4] = 10
    bytes.writeUInt16LE(name.length, 6)
    name.copy(bytes, 8)
    return bytes
  }
  const cases: Record<string, Buffer> = {
    'an unknown kind': Buffer.from('0400000000000000', 'hex'),
    'flags on an operation that has none': Buffer.from('04000000' + '0a' + '01' + '0000', 'hex'),
    'an unknown flag on a file': Buffer.from('04000000' + '02' + '02' + '0000', 'hex'),
    'a mode above 07777': metadata(b => b.writeUInt16LE(0o10000, 9)),
    'nanoseconds of a whole second': metadata(b => b.writeUInt32LE(1_000_000_000, 9 + 26)),
    'an xattr value over 64 KiB': metadata(b => b.writeUInt32LE(65537, 9 + 32 + 7)),
    'bytes behind an operation': Buffer.from('05000000' + '0a' + '00' + '0000' + 'ff', 'hex'),
    'an empty symlink target': symlink(Buffer.alloc(0)),
    'a symlink target of 4096 bytes': symlink(Buffer.alloc(4096, 'a')),
    'a symlink target with NUL': symlink(Buffer.from('a\0b')),
    'a parent step': path('a/../b'), 'an absolute path': path('/etc'), 'a NUL in a path': path('a\0'), 'a name of 256 bytes': path('a'.repeat(256)),
    'a path of 4095 bytes': path(Array.from({ length: 16 }, () => 'a'.repeat(255)).join('/')),
    'a size of 2^53': Buffer.from('0c000000' + '05' + '00' + '0000' + '0000000000002000', 'hex'),
    'a range that ends at 2^53': Buffer.from('14000000' + '04' + '00' + '0000' + 'ffffffffffff1f00' + '0100000000000000', 'hex'),
  }
  for (const [title, bytes] of Object.entries(cases)) {
    t.throws(() => decode(bytes), { code: 'FRAME_INVALID' }, title)
  }
  t.throws(() => asOperationBatch(Buffer.alloc(4 * 1024 * 1024 + 1)), { code: 'FRAME_INVALID' }, 'a batch over 4 MiB')
  t.equal(decode(symlink(Buffer.alloc(4095, 'a'))).length, 1, 'a symlink target of 4095 bytes is fine')
})

t.test('extended attributes that are unsorted, repeated or over 1 MiB in all are refused with FRAME_INVALID', async t => {
  const value = Buffer.alloc(65536)
  const names = (count: number) => Array.from({ length: count }, (_, i) => ({ name: Buffer.from(`user.${String(i).padStart(3, '0')}`), value }))
  t.doesNotThrow(() => decode(encodeOperation({ kind: 'metadata', path: at('f'), metadata: { ...plain, xattrs: names(15) } })))
  t.throws(() => decode(encodeOperation({ kind: 'metadata', path: at('f'), metadata: { ...plain, xattrs: names(17) } })), { code: 'FRAME_INVALID' })
  const bytes = Buffer.from(encodeOperation({ kind: 'metadata', path: at('f'), metadata: { ...plain, xattrs: names(2).map(x => ({ ...x, value: Buffer.alloc(0) })) } }))
  bytes.write('user.000', bytes.lastIndexOf('user.001'))
  t.throws(() => decode(bytes), { code: 'FRAME_INVALID' })
})

t.test('operations before a broken one are given', async t => {
  const batch = asOperationBatch(Buffer.concat([encodeOperation({ kind: 'remove', path: at('a') }), Buffer.from('ff', 'hex')]))
  const operations = decodeOperations(batch)
  t.match(operations.next().value, { kind: 'remove' })
  t.throws(() => operations.next(), { code: 'FRAME_INVALID' })
})

t.test('what is over a limit is not encoded', async t => {
  t.throws(() => encodeOperation({ kind: 'write', path: at('f'), offset: 0, data: Buffer.alloc(4 * 1024 * 1024) }), RangeError)
  t.throws(() => encodeOperation({ kind: 'resize', path: at('f'), sizeBytes: -1 }), RangeError)
  t.throws(() => encodeOperation({ kind: 'metadata', path: at('f'), metadata: { ...plain, mode: 0o100644 } }), RangeError)
  t.throws(() => encodeOperation({ kind: 'symlink', path: at('f'), target: Buffer.alloc(0), metadata: plain }), RangeError)
  const half = encodeOperation({ kind: 'write', path: at('f'), offset: 0, data: Buffer.alloc(2 * 1024 * 1024) })
  t.throws(() => joinBatches([half, half]), RangeError)
  const small = encodeOperation({ kind: 'remove', path: at('g') })
  t.equal(joinBatches([half, small]).length, half.length + small.length)
})
