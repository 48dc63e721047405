import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createServer, type Socket } from 'node:net'
import { zstdCompressSync } from 'node:zlib'
import { execa } from 'execa'
import t from 'tap'
import { linkContract } from '../../contract/link.contract.ts'
import { openLinkIdentity } from '../../../src/posix/linking.ts'
import { encodeFrameHead, FRAME_TYPES, MAX_BODY_BYTES, type FrameType } from '../../../src/wire/frame.ts'
import type { Link } from '../../../src/wire/link.ts'
import { asOperationBatch } from '../../../src/wire/operation-codec.ts'
import { acceptTlsLink } from '../../../src/wire/tls-link.ts'
import { testAuthority } from '../trust/authority.ts'
import { first, hold, holdHead, linkEnds, listening, onFrame, rawAgent, soon } from './tls-ends.ts'

const root = t.testdir({ ours: {} })
const { server, agent } = await testAuthority(join(root, 'ours'))
const identity = await agent('source-1')

linkContract('TLS over loopback', async () => {
  const ends = await linkEnds(server, identity)
  return { ...ends, [Symbol.asyncDispose]: async () => { await ends.agent[Symbol.asyncDispose](); await ends.appliance[Symbol.asyncDispose](); ends.cut() } }
})

for (const [name, how] of [['limited', { compression: 'off', bandwidthBytesPerS: 60_000_000 }], ['compressed', { compression: 'medium' }]] as const) {
  linkContract(`TLS over loopback, ${name}`, async () => {
    const ends = await linkEnds(server, identity)
    for (const link of [ends.agent, ends.appliance]) link.transmit(how)
    return { ...ends, [Symbol.asyncDispose]: async () => { await ends.agent[Symbol.asyncDispose](); await ends.appliance[Symbol.asyncDispose](); ends.cut() } }
  })
}

const NOTHING = Buffer.alloc(0)

function header(code: number, lengthBytes: number, reserved = 0): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32LE(lengthBytes, 0)
  bytes.writeUInt8(code, 8)
  bytes.writeUInt8(reserved, 9)
  return bytes
}

/** A frame of operations of so many zeros, packed, which says that it is so long. */
function packedBatch(sizeBytes: number, claimedBytes = sizeBytes + 8): Buffer {
  const packed = zstdCompressSync(Buffer.alloc(sizeBytes))
  const fields = Buffer.alloc(5 + 8)
  fields.writeUInt32LE(claimedBytes, 0)
  fields.writeUInt8(8, 4)
  fields.writeUInt8(1, 5)
  return Buffer.concat([header(2, fields.length + packed.length, 2), fields, packed])
}

t.test('garbage, half a frame at the end, and credit that was never due end the link with an error of its own', async t => {
  const limits = Object.entries(MAX_BODY_BYTES).flatMap(([type, limit]): [string, Buffer, string][] => [
    [`a ${type} frame over its limit`, header(FRAME_TYPES[type as FrameType], limit + 1), 'FRAME_INVALID'],
    [`a ${type} frame at its limit, without its body`, header(FRAME_TYPES[type as FrameType], limit), type === 'bye' ? '' : 'LINK_LOST'],
  ])
  const cases: [string, Buffer, string][] = [
    ['garbage', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'FRAME_INVALID'],
    ['an unknown type', header(9, 0), 'FRAME_INVALID'],
    ['a reserved bit', header(2, 2, 4), 'FRAME_INVALID'],
    ['control in parts', header(1, 2, 1), 'FRAME_INVALID'],
    ['a part of nothing', Buffer.concat([header(19, 2), Buffer.alloc(2)]), 'FRAME_INVALID'],
    ['data between parts', Buffer.concat([header(2, 9, 1), header(3, 0)]), 'FRAME_INVALID'],
    ['half of the parts', Buffer.concat([header(2, 9, 1), header(19, 5), Buffer.alloc(5)]), 'LINK_LOST'],
    ['packed bytes that are none', Buffer.concat([header(2, 20, 2), Buffer.alloc(20, 7)]), 'FRAME_INVALID'],
    ['a bomb', packedBatch(64 * 1024 * 1024), 'FRAME_INVALID'],
    ['a packed batch that names another length', packedBatch(100_000, 200_000), 'FRAME_INVALID'],
    ['half a frame', holdHead.subarray(0, 20), 'LINK_LOST'],
    ['too much credit', encodeFrameHead('credit', 0, Buffer.from('ffffffff00000000', 'hex'), NOTHING), 'FRAME_INVALID'],
    ['an end without goodbye', NOTHING, 'LINK_LOST'],
    ...limits.filter(([, , code]) => code !== ''),
  ]
  for (const [title, bytes, code] of cases) {
    const { socket, link } = await rawAgent(server, identity)
    socket.end(bytes)
    await t.rejects(first(link), { code }, title)
    await t.rejects(link.send(hold, soon()), { code: 'LINK_LOST' }, title)
    await link[Symbol.asyncDispose]()
    socket.destroy()
  }
})

t.test('what has arrived before garbage is received', async t => {
  const { socket, link } = await rawAgent(server, identity)
  socket.end(Buffer.concat([holdHead, Buffer.from('garbage, garbage')]))
  const messages = link.receive()[Symbol.asyncIterator]()
  t.same(await messages.next(), { done: false, value: hold })
  await t.rejects(messages.next(), { code: 'FRAME_INVALID' })
  socket.destroy()
})

t.test('a peer that sends more than its credit is given up with FRAME_INVALID', async t => {
  const { socket, link } = await rawAgent(server, identity)
  const frame = encodeFrameHead('operations', 0, Buffer.alloc(4 * 1024 * 1024), NOTHING)
  for (let i = 0; i < 3; i++) socket.write(frame)
  const messages = link.receive()[Symbol.asyncIterator]()
  socket.resume()
  await new Promise(resolve => { socket.once('close', resolve) })
  await t.rejects((async () => { while (!(await messages.next()).done); })(), { code: 'FRAME_INVALID' })
  socket.destroy()
})

t.test('packed data counts by what it is, not by what it was packed to: a peer cannot fill memory with little', async t => {
  const { socket, link } = await rawAgent(server, identity)
  const frame = packedBatch(4 * 1024 * 1024)
  t.ok(frame.length < 10_000)
  for (let i = 0; i < 3; i++) socket.write(frame)
  await new Promise(resolve => { socket.resume().once('close', resolve) })
  const messages = link.receive()[Symbol.asyncIterator]()
  await t.rejects((async () => { while (!(await messages.next()).done); })(), { code: 'FRAME_INVALID' })
  socket.destroy()
})

t.test('a peer that falls silent, also inside a frame, is given up with LINK_LOST', async t => {
  for (const bytes of [NOTHING, holdHead.subarray(0, 20)]) {
    const { socket, link } = await rawAgent(server, identity, { idleMs: 150 })
    socket.write(bytes)
    await t.rejects(first(link), { code: 'LINK_LOST', message: /nothing was heard/ })
    socket.destroy()
  }
})

t.test('a link with nothing to say gives signs of life, and lives by those of its peer', async t => {
  const { socket, link } = await rawAgent(server, identity, { idleMs: 150 })
  const alive = encodeFrameHead('alive', 0, NOTHING, NOTHING)
  let signs = 0
  await new Promise<void>(resolve => {
    onFrame(socket, type => {
      if (type === 'alive') socket.write(alive)
      if (type === 'alive' && ++signs === 8) resolve()
    })
  })
  socket.write(holdHead)
  t.match(await first(link), { value: hold })
  socket.destroy()
  await link[Symbol.asyncDispose]()
})

t.test('buffers that are given back are filled again, and those that are kept stay as they are', async t => {
  const ends = await linkEnds(server, identity)
  await using sender = ends.agent
  await using receiver = ends.appliance
  const signal = AbortSignal.timeout(20_000)
  const batch = (n: number) => asOperationBatch(Buffer.alloc(1_000_000, n))
  const sending = (async () => { for (let n = 1; n <= 30; n++) await sender.send({ type: 'operations', volume: 0, sequence: n, batch: batch(n) }, signal) })()
  const memories = new Set<ArrayBufferLike>()
  const kept: Buffer[] = []
  let n = 0
  for await (const message of receiver.receive()) {
    if (message.type !== 'operations') continue
    n++
    memories.add(message.batch.buffer)
    t.ok(message.batch.equals(batch(n)), `batch ${String(n)} is whole`)
    if (n <= 3) kept.push(message.batch)
    else receiver.reuse(message.batch)
    if (n === 30) break
  }
  await sending
  kept.forEach((buffer, i) => { t.ok(buffer.equals(batch(i + 1)), 'a kept one is untouched') })
  t.ok(memories.size < 30, `${String(memories.size)} buffers for 30 batches`)
  ends.cut()
})

t.test('many small messages that cross each other arrive in order', async t => {
  const ends = await linkEnds(server, identity)
  const count = 20_000
  const flood = async (link: Link) => { for (let id = 0; id < count; id++) await link.send({ type: 'control', control: { kind: 'hold', id } }, soon()) }
  const hear = async (link: Link) => {
    let next = 0
    for await (const message of link.receive()) {
      if (message.type !== 'control' || message.control.kind !== 'hold' || message.control.id !== next) return `message ${String(next)} is another one`
      if (++next === count) return 'all'
    }
    return 'ended'
  }
  const heard = Promise.all([hear(ends.agent), hear(ends.appliance)])
  await Promise.all([flood(ends.agent), flood(ends.appliance)])
  t.same(await heard, ['all', 'all'])
  await ends.agent[Symbol.asyncDispose]()
  await ends.appliance[Symbol.asyncDispose]()
  ends.cut()
})

t.test('a peer of another make changes its keys and asks for new ones of ours, and both go on', async t => {
  const listener = createServer({ pauseOnConnect: true })
  const port = await listening(listener)
  const [key, certificate] = [join(root, 'key.pem'), join(root, 'certificate.pem')]
  await writeFile(key, identity.keyPem)
  await writeFile(certificate, identity.certificatePem)
  for (const suite of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']) {
    // it takes K as the order to change keys, sends other lines, and shows what it gets
    const peer = execa('openssl', ['s_client', '-connect', `127.0.0.1:${String(port)}`, '-key', key, '-cert', certificate, '-tls1_3', '-ciphersuites', suite], { reject: false, encoding: 'buffer' })
    let [shown, told] = ['', '']
    peer.stderr.on('data', (chunk: Buffer) => { told += chunk.toString('latin1') })
    peer.stdout.on('data', (chunk: Buffer) => { shown += chunk.toString('latin1') })
    const [socket] = await once(listener, 'connection') as [Socket]
    const { link } = await acceptTlsLink(openLinkIdentity(server), socket, soon())
    const messages = link.receive()[Symbol.asyncIterator]()
    for (const id of [1001, 1002, 1003]) {
      peer.stdin.write('K\n')
      while (!told.includes('KEYUPDATE')) await once(peer.stderr, 'data', { signal: soon() })
      told = ''
      peer.stdin.write(holdHead)
      t.same((await messages.next()).value, hold, suite)
      await link.send({ type: 'control', control: { kind: 'hold', id } }, soon())
      while (!shown.includes(`"id":${String(id)}`)) await once(peer.stdout, 'data', { signal: soon() })
    }
    t.match(shown, suite)
    await link[Symbol.asyncDispose]()
    await peer
  }
  listener.close()
})

// one that does not is cut after two seconds
t.test('links that are closed end by themselves, at whatever moment it comes', { timeout: 30_000 }, async t => {
  for (let i = 0; i < 100; i++) {
    const { agent, appliance, cut } = await linkEnds(server, identity)
    const heard = (async () => { for await (const message of agent.receive()) t.fail(`${message.type} was never sent`) })()
    if (i % 2 === 1) await new Promise(resolve => { setImmediate(resolve) })
    await appliance[Symbol.asyncDispose]()
    await heard
    await agent[Symbol.asyncDispose]()
    cut()
  }
  t.pass('few had to be cut, if any')
})
