import t from 'tap'
import { linkContract } from '../../contract/link.contract.ts'
import { encodeFrameHead, FrameParser } from '../../../src/wire/frame.ts'
import { asOperationBatch } from '../../../src/wire/operation-codec.ts'
import { tlsLink } from '../../../src/wire/tls-link.ts'
import { testAuthority } from '../trust/authority.ts'
import { tlsPair } from './tls-pair.ts'

const { server, agent } = await testAuthority(t.testdir())
const identity = await agent('source-1')

linkContract('TLS over loopback', async () => {
  const sockets = await tlsPair(server, identity)
  const pair = { agent: tlsLink(sockets.agent), appliance: tlsLink(sockets.appliance) }
  return {
    ...pair,
    cut: () => { sockets.agent.destroy(); sockets.appliance.destroy() },
    [Symbol.asyncDispose]: async () => { await pair.agent[Symbol.asyncDispose](); await pair.appliance[Symbol.asyncDispose]() },
  }
})

const NOTHING = Buffer.alloc(0)
const first = async (link: ReturnType<typeof tlsLink>) => await link.receive()[Symbol.asyncIterator]().next()

t.test('garbage, half a frame at the end, and credit that was never due end the link with an error of its own', async t => {
  const cases: [string, Buffer, string][] = [
    ['garbage', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'FRAME_INVALID'],
    ['half a frame', encodeFrameHead('control', 0, Buffer.from('{"kind":"hold","id":1}'), NOTHING).subarray(0, 20), 'LINK_LOST'],
    ['too much credit', encodeFrameHead('credit', 0, Buffer.from('ffffffff00000000', 'hex'), NOTHING), 'FRAME_INVALID'],
    ['an end without goodbye', NOTHING, 'LINK_LOST'],
  ]
  for (const [title, bytes, code] of cases) {
    const sockets = await tlsPair(server, identity)
    await using link = tlsLink(sockets.appliance)
    sockets.agent.on('error', () => undefined)
    sockets.agent.end(bytes)
    await t.rejects(first(link), { code }, title)
    await t.rejects(link.send({ type: 'control', control: { kind: 'hold', id: 1 } }, AbortSignal.timeout(1000)), { code: 'LINK_LOST' }, title)
    sockets.agent.destroy()
  }
})

t.test('a peer that sends more than its credit is given up with FRAME_INVALID', async t => {
  const sockets = await tlsPair(server, identity)
  await using link = tlsLink(sockets.appliance)
  sockets.agent.on('error', () => undefined)
  const frame = encodeFrameHead('operations', 0, Buffer.alloc(4 * 1024 * 1024), NOTHING)
  for (let i = 0; i < 3; i++) sockets.agent.write(frame)
  const messages = link.receive()[Symbol.asyncIterator]()
  await new Promise(resolve => { sockets.agent.once('close', resolve) })
  await t.rejects((async () => { while (!(await messages.next()).done); })(), { code: 'FRAME_INVALID' })
})

t.test('a peer that falls silent, also inside a frame, is given up with LINK_LOST', async t => {
  for (const bytes of [NOTHING, encodeFrameHead('control', 0, Buffer.from('{"kind":"hold","id":1}'), NOTHING).subarray(0, 20)]) {
    const sockets = await tlsPair(server, identity)
    await using link = tlsLink(sockets.appliance, { idleMs: 150 })
    sockets.agent.on('error', () => undefined)
    sockets.agent.write(bytes)
    await t.rejects(first(link), { code: 'LINK_LOST', message: /nothing was heard/ })
    sockets.agent.destroy()
  }
})

t.test('two links with nothing to say stay connected by their signs of life', async t => {
  const sockets = await tlsPair(server, identity)
  await using agentLink = tlsLink(sockets.agent, { idleMs: 150 })
  await using applianceLink = tlsLink(sockets.appliance, { idleMs: 150 })
  const parser = new FrameParser()
  let signs = 0
  await new Promise<void>(resolve => {
    sockets.agent.on('data', (chunk: Buffer) => {
      for (const frame of parser.push(chunk)) if (frame.type === 'alive' && ++signs === 8) resolve()
    })
  })
  await agentLink.send({ type: 'control', control: { kind: 'hold', id: 1 } }, AbortSignal.timeout(1000))
  t.match(await first(applianceLink), { value: { type: 'control' } })
})

t.test('buffers that are given back are filled again, and those that are kept stay as they are', async t => {
  const sockets = await tlsPair(server, identity)
  await using agent = tlsLink(sockets.agent)
  await using appliance = tlsLink(sockets.appliance)
  const signal = AbortSignal.timeout(20_000)
  const batch = (n: number) => asOperationBatch(Buffer.alloc(1_000_000, n))
  const sending = (async () => { for (let n = 1; n <= 30; n++) await agent.send({ type: 'operations', volume: 0, sequence: n, batch: batch(n) }, signal) })()
  const memories = new Set<ArrayBufferLike>()
  const kept: Buffer[] = []
  let n = 0
  for await (const message of appliance.receive()) {
    if (message.type !== 'operations') continue
    n++
    memories.add(message.batch.buffer)
    t.ok(message.batch.equals(batch(n)), `batch ${String(n)} is whole`)
    if (n <= 3) kept.push(message.batch)
    else appliance.reuse(message.batch)
    if (n === 30) break
  }
  await sending
  kept.forEach((buffer, i) => { t.ok(buffer.equals(batch(i + 1)), 'a kept one is untouched') })
  t.ok(memories.size < 30, `${String(memories.size)} buffers for 30 batches`)
})
