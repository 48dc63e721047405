/** Each limit of limits.ts: what is at it is taken, what is one over it is refused, by the codec here and by the addon alike. */
import t, { type Test } from 'tap'
import type { FileMetadata } from '../../../src/domain/file-operation.ts'
import { closeTree, applyOperations, openTree, type TreeHandle } from '../../../src/posix/posix.ts'
import type { FrameType } from '../../../src/wire/frame.ts'
import { MAX_BATCH_OPERATIONS, MAX_CONTROL_VALUES, MAX_FINDING_TEXT, MAX_GREETING_TEXT, MAX_HASH_BLOCK_BYTES, MAX_HASHED_BYTES, MAX_XATTR_NAMES_BYTES } from '../../../src/wire/limits.ts'
import { decodeMessage } from '../../../src/wire/message-codec.ts'
import { asOperationBatch, decodeOperations, encodeOperation, MAX_BATCH_BYTES, type OperationBatch } from '../../../src/wire/operation-codec.ts'

const PLAIN: FileMetadata = { mode: 0o644, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 0n, atimeNs: 0n, xattrs: [] }
const at = (text: string): never => Buffer.from(text) as never

async function verdicts(tree: TreeHandle, batch: Buffer): Promise<{ here: boolean, addon: boolean }> {
  const taken = async (work: () => unknown): Promise<boolean> => {
    try {
      await work()
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'FRAME_INVALID') return false
      throw error
    }
  }
  return { here: await taken(() => [...decodeOperations(asOperationBatch(batch))].length), addon: await taken(async () => await applyOperations(tree, batch)) }
}

async function limit(t: Test, name: string, within: OperationBatch, over: Buffer): Promise<void> {
  const tree = await openTree(t.testdir(), 'replica')
  try {
    t.same(await verdicts(tree, within), { here: true, addon: true }, `${name}: at the limit`)
    t.same(await verdicts(tree, over), { here: false, addon: false }, `${name}: over the limit`)
  } finally {
    closeTree(tree)
  }
}

t.test('operations in a batch', async t => {
  const one = encodeOperation({ kind: 'remove', path: at('gone') })
  const many = (count: number): OperationBatch => Buffer.concat(Array<Buffer>(count).fill(one)) as OperationBatch
  await limit(t, 'operations', many(MAX_BATCH_OPERATIONS), many(MAX_BATCH_OPERATIONS + 1))
})

t.test('bytes of a batch', async t => {
  const write = encodeOperation({ kind: 'write', path: at('f'), offset: 0, data: Buffer.alloc(MAX_BATCH_BYTES - 21) })
  t.equal(write.length, MAX_BATCH_BYTES)
  await limit(t, 'bytes', write, Buffer.concat([write, Buffer.alloc(1)]))
})

t.test('names of extended attributes', async t => {
  // 7 bytes each with the NUL that the kernel puts behind them
  const xattrs = (namesBytes: number): FileMetadata['xattrs'] => Array.from({ length: Math.floor(namesBytes / 7) }, (_, i) => ({ name: Buffer.from(`u.${String(i).padStart(4, '0')}${i === 0 ? 'x'.repeat(namesBytes % 7) : ''}`), value: Buffer.alloc(0) }))
  const metadata = (namesBytes: number): OperationBatch => encodeOperation({ kind: 'metadata', path: at('gone'), metadata: { ...PLAIN, xattrs: xattrs(namesBytes) } })
  await limit(t, 'names', metadata(MAX_XATTR_NAMES_BYTES), metadata(MAX_XATTR_NAMES_BYTES + 1))
})

t.test('value and sum of extended attributes', async t => {
  const metadata = (values: readonly number[]): OperationBatch => encodeOperation({ kind: 'metadata', path: at('gone'), metadata: { ...PLAIN, xattrs: values.map((bytes, i) => ({ name: Buffer.from(`user.${String(i).padStart(2, '0')}`), value: Buffer.alloc(bytes) })) } })
  await limit(t, 'value', metadata([65536]), metadata([65537]))
  const full = Array<number>(16).fill(65536 - 7)
  await limit(t, 'sum', metadata(full), metadata([...full, 0]))
})

t.test('names, paths and link targets', async t => {
  const remove = (path: Buffer): OperationBatch => {
    const bytes = Buffer.alloc(8 + path.length)
    bytes.writeUInt32LE(4 + path.length, 0)
    bytes[4] = 10
    bytes.writeUInt16LE(path.length, 6)
    path.copy(bytes, 8)
    return bytes as OperationBatch
  }
  await limit(t, 'name', remove(Buffer.alloc(255, 'a')), remove(Buffer.alloc(256, 'a')))
  const path = (bytes: number): Buffer => Buffer.from('a/'.repeat(bytes / 2) + 'a'.repeat(bytes % 2)).fill('b', bytes - 1)
  await limit(t, 'path', remove(path(4094)), remove(path(4095)))
  for (const evil of ['..', '.', 'a/../b', 'a/./b', '/a', 'a/', 'a//b', 'a\0b']) t.notOk((await verdicts(await openTree(t.testdir(), 'replica'), remove(Buffer.from(evil)))).addon, JSON.stringify(evil))
})

t.test('offsets and sizes', async t => {
  const max = Number.MAX_SAFE_INTEGER
  const resize = (size: bigint): OperationBatch => {
    const bytes = Buffer.from(encodeOperation({ kind: 'resize', path: at('gone'), sizeBytes: 0 }))
    bytes.writeBigUInt64LE(size, bytes.length - 8)
    return bytes as OperationBatch
  }
  await limit(t, 'size', resize(BigInt(max)), resize(BigInt(max) + 1n))
  t.same((await verdicts(await openTree(t.testdir(), 'replica'), resize(2n ** 63n))), { here: false, addon: false })
  t.same((await verdicts(await openTree(t.testdir(), 'replica'), resize(2n ** 64n - 1n))), { here: false, addon: false })
  const punch = (length: number): OperationBatch => encodeOperation({ kind: 'punch', path: at('gone'), offset: 1, lengthBytes: length })
  await limit(t, 'end of a range', punch(max - 1), punch(max))
  const write = (offset: number): OperationBatch => encodeOperation({ kind: 'write', path: at('gone'), offset, data: Buffer.alloc(2) })
  await limit(t, 'end of data', write(max - 2), write(max - 1))
})

t.test('a count that claims more than there is takes no memory', async t => {
  const file = Buffer.from(encodeOperation({ kind: 'file', path: at('f'), sizeBytes: 0, complete: true, metadata: PLAIN, extents: [] }))
  file.writeUInt32LE(0xffff_ffff, file.length - 4)
  const claimed = Buffer.from(encodeOperation({ kind: 'metadata', path: at('f'), metadata: PLAIN }))
  claimed.writeUInt16LE(0xffff, claimed.length - 14)
  const length = Buffer.from(encodeOperation({ kind: 'write', path: at('f'), offset: 0, data: Buffer.alloc(1) }))
  length.writeUInt32LE(0xffff_ffff, length.length - 5)
  const outer = Buffer.from(encodeOperation({ kind: 'remove', path: at('f') }))
  outer.writeUInt32LE(0xffff_ffff, 0)
  const before = process.memoryUsage().rss
  const tree = await openTree(t.testdir(), 'replica')
  for (const bytes of [file, claimed, length, outer]) for (let i = 0; i < 50; i++) t.same(await verdicts(tree, bytes), { here: false, addon: false })
  closeTree(tree)
  t.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024)
})

const refused = (t: Test, type: FrameType, body: Buffer, what: string): void => { t.throws(() => decodeMessage({ type, volume: 0, body }), { code: 'FRAME_INVALID' }, what) }
const json = (control: unknown): Buffer => Buffer.from(JSON.stringify(control))

t.test('what a hash may ask for', async t => {
  const hash = (lengthBytes: number, blockBytes: number): Buffer => {
    const body = Buffer.alloc(25, 'f')
    body.writeBigUInt64LE(0n, 4)
    body.writeBigUInt64LE(BigInt(lengthBytes), 12)
    body.writeUInt32LE(blockBytes, 20)
    return body
  }
  t.ok(decodeMessage({ type: 'hash', volume: 0, body: hash(MAX_HASHED_BYTES, MAX_HASH_BLOCK_BYTES) }))
  refused(t, 'hash', hash(MAX_HASHED_BYTES + 1, MAX_HASH_BLOCK_BYTES), 'too long a range')
  refused(t, 'hash', hash(MAX_HASHED_BYTES, MAX_HASH_BLOCK_BYTES + 1), 'too large a block')
  refused(t, 'hash', hash(65537, 1), 'too many blocks')
})

t.test('text in a greeting, a failure and a finding', async t => {
  const hello = (length: number): Buffer => json({ kind: 'hello', protocolVersion: 1, agentVersion: 'x'.repeat(length), captureEpoch: '', jobId: '' })
  t.ok(decodeMessage({ type: 'control', volume: 0, body: hello(MAX_GREETING_TEXT) }))
  refused(t, 'control', hello(MAX_GREETING_TEXT + 1), 'greeting')
  const failed = (length: number): Buffer => json({ kind: 'failed', id: 1, code: 'X', message: 'x'.repeat(length) })
  t.ok(decodeMessage({ type: 'control', volume: 0, body: failed(MAX_FINDING_TEXT) }))
  refused(t, 'control', failed(MAX_FINDING_TEXT + 1), 'failure')
  const none = { filesFound: 0, filesDone: 0, filesSkipped: 0, bytesFound: 0, bytesDone: 0, bytesSkipped: 0, bytesSent: 0, walked: false, findings: 0 }
  const progress = (subject: string): Buffer => json({ kind: 'mirror-progress', id: 1, progress: none, findings: [{ code: 'X', severity: 'error', subject, message: '', advice: '' }] })
  t.ok(decodeMessage({ type: 'control', volume: 0, body: progress('x'.repeat(MAX_FINDING_TEXT)) }))
  refused(t, 'control', progress('x'.repeat(MAX_FINDING_TEXT + 1)), 'finding')
})

t.test('values in a control message, however they are nested, and its check takes no time', async t => {
  const hold = (count: number): Buffer => json({ kind: 'hello', protocolVersion: 1, agentVersion: '', captureEpoch: '', jobId: '', more: Array<number>(count - 7).fill(1) })
  t.ok(decodeMessage({ type: 'control', volume: 0, body: hold(MAX_CONTROL_VALUES) }))
  refused(t, 'control', hold(MAX_CONTROL_VALUES + 1), 'one too many')
  const before = process.cpuUsage()
  for (const text of [`{"kind":"workload","id":1,"workload":{"disks":[${'1,'.repeat(480_000)}1]}}`, `{"kind":"workload","id":1,"workload":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_001)}`, '['.repeat(500_000) + ']'.repeat(500_000)]) {
    t.throws(() => decodeMessage({ type: 'control', volume: 0, body: Buffer.from(text) }), { code: 'FRAME_INVALID', message: /^.{0,500}$/s, cause: undefined })
  }
  const { user, system } = process.cpuUsage(before)
  t.ok(user + system < 2_000_000, 'bounded work, of the processor')
})

t.test('figures that are no numbers are refused', async t => {
  const progress = (figure: string): Buffer => Buffer.from(`{"kind":"mirror-progress","id":1,"progress":{"filesFound":${figure},"filesDone":0,"filesSkipped":0,"bytesFound":0,"bytesDone":0,"bytesSkipped":0,"bytesSent":0,"walked":false,"findings":0},"findings":[]}`)
  t.ok(decodeMessage({ type: 'control', volume: 0, body: progress('7') }))
  for (const figure of ['-1', '1e999', '-1e999', 'null', '"7"', 'NaN']) refused(t, 'control', progress(figure), figure)
})
