import { closeSync, openSync } from 'node:fs'
import t from 'tap'
import { errnoName, errnoOf, hashBlocks, replicaCode, syncFileSystem } from '../../../src/posix/posix.ts'

void t.test('an errno of the addon is known by name, and other errors are none', async t => {
  t.equal(errnoOf(new Error('errno 28')), 'ENOSPC')
  t.equal(errnoOf(new Error('errno 28 or so')), undefined)
  t.equal(errnoOf('errno 28'), undefined)
  t.equal(errnoName(5), 'EIO')
  t.equal(errnoOf(new Error('errno 117')), 'EUCLEAN', 'a damaged file system')
  t.equal(errnoName(4095), 'errno 4095')
})

void t.test('no space and quota, read-only, and all the rest have their code', async t => {
  t.same(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMLINK'].map(replicaCode), ['REPLICA_FULL', 'REPLICA_FULL', 'REPLICA_READ_ONLY', 'REPLICA_WRITE', 'REPLICA_WRITE'])
})

void t.test('block hashes are the first half of BLAKE3', async t => {
  // of the empty input's published vector there is no block; these are of "abc" and of 4096 bytes of zero
  t.equal(hashBlocks(Buffer.from('abc'), 4096).toString('hex'), '6437b3ac38465133ffb63b75273a8db5')
  t.equal(hashBlocks(Buffer.alloc(0), 4096).length, 0)
  const two = hashBlocks(Buffer.alloc(8192), 4096)
  t.equal(two.length, 32)
  t.same(two.subarray(0, 16), two.subarray(16))
})

void t.test('a file system is flushed through a descriptor, and a wrong one is an error with a code', async t => {
  const fd = openSync(t.testdir(), 'r')
  await syncFileSystem(fd)
  closeSync(fd)
  await t.rejects(syncFileSystem(-1), { code: 'REPLICA_WRITE' })
})
