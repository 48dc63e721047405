import t from 'tap'
import { BodyPool } from '../../../src/wire/body-pool.ts'

t.test('a buffer that was given back is used again, also when only a part of it was given back', async t => {
  const pool = new BodyPool()
  const first = pool.take(100_000)
  t.equal(first.length, 100_000)
  pool.giveBack(first.subarray(8))
  const second = pool.take(120_000)
  t.equal(second.length, 120_000)
  t.equal(second.buffer, first.buffer)
})

t.test('what is lent is never lent to another, and giving back twice gives one buffer back', async t => {
  const pool = new BodyPool()
  const first = pool.take(100_000)
  t.not(pool.take(100_000).buffer, first.buffer)
  pool.giveBack(first)
  pool.giveBack(first)
  t.equal(pool.take(100_000).buffer, first.buffer)
  t.not(pool.take(100_000).buffer, first.buffer)
})

t.test('foreign and small buffers are not taken in', async t => {
  const pool = new BodyPool()
  const foreign = Buffer.alloc(131_072)
  pool.giveBack(foreign)
  t.not(pool.take(131_072).buffer, foreign.buffer)
  const small = pool.take(10)
  t.equal(small.length, 10)
  pool.giveBack(small)
})

t.test('it keeps no more than 16 MiB for later', async t => {
  const pool = new BodyPool()
  const taken = Array.from({ length: 20 }, () => pool.take(1024 * 1024))
  for (const buffer of taken) pool.giveBack(buffer)
  const known = new Set(taken.map(buffer => buffer.buffer))
  t.equal(Array.from({ length: 20 }, () => pool.take(1024 * 1024)).filter(buffer => known.has(buffer.buffer)).length, 16)
})

t.test('an adopted buffer is let go of when all of it is given back, and a part of one is nobody\'s', async t => {
  const pool = new BodyPool()
  const own = Buffer.from(new ArrayBuffer(100_000))
  t.equal(pool.adopt(own), own)
  const part = own.subarray(8)
  t.notOk(pool.isLent(part), 'others may hold the rest of it')
  t.ok(pool.isLent(own))
  const memory = own.buffer
  pool.giveBack(own)
  t.equal(memory.byteLength, 0)
  pool.giveBack(own)
})

t.test('what shares its memory with others is not adopted', async t => {
  const pool = new BodyPool()
  const shared = Buffer.from(new ArrayBuffer(200_000)).subarray(0, 100_000)
  pool.adopt(shared)
  t.notOk(pool.isLent(shared))
  pool.giveBack(shared)
  t.equal(shared.buffer.byteLength, 200_000)
})

t.test('what nobody wanted between two looks is freed, and what is wanted now and then stays', async t => {
  const pool = new BodyPool()
  const taken = Array.from({ length: 3 }, () => pool.take(1024 * 1024))
  for (const buffer of taken) pool.giveBack(buffer)
  pool.freeIdle()
  t.ok(taken.every(({ buffer }) => buffer.byteLength > 0), 'nobody knows yet')
  pool.giveBack(pool.take(1024 * 1024))
  pool.freeIdle()
  t.equal(taken.filter(({ buffer }) => buffer.byteLength > 0).length, 1)
  pool.freeIdle()
  t.ok(taken.every(({ buffer }) => buffer.byteLength === 0))
  t.equal(pool.take(1024 * 1024).length, 1024 * 1024)
})
