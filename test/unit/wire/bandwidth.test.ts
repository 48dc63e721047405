/** What a limit does on the real link, counted by the relay between the two ends. */
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { Message } from '../../../src/wire/messages.ts'
import { asOperationBatch } from '../../../src/wire/operation-codec.ts'
import type { Link } from '../../../src/wire/link.ts'
import { openLine } from '../../interrupted/line.ts'
import { testAuthority } from '../trust/authority.ts'
import { linkEnds } from './tls-ends.ts'

const root = t.testdir({ ours: {} })
const { server, agent } = await testAuthority(join(root, 'ours'))
const identity = await agent('source-1')
const soon = (): AbortSignal => AbortSignal.timeout(60_000)
const hold = (id: number): Message => ({ type: 'control', control: { kind: 'hold', id } })
const operations = (sequence: number, batch: Buffer): Message => ({ type: 'operations', volume: 0, sequence, batch: asOperationBatch(batch) })

/** Two links with a line between them that counts what the agent sends. */
async function measured(): Promise<{ agent: Link, appliance: Link, bytes: () => number } & AsyncDisposable> {
  const line = await openLine()
  const ends = await linkEnds(server, identity, port => {
    line.leadTo(port)
    return line.port
  })
  return {
    agent: ends.agent, appliance: ends.appliance, bytes: () => line.bytes,
    [Symbol.asyncDispose]: async () => { ends.cut(); await line[Symbol.asyncDispose](); await ends.agent[Symbol.asyncDispose](); await ends.appliance[Symbol.asyncDispose]() },
  }
}

/** Sends until the signal aborts. */
async function flood(link: Link, batch: Buffer, signal: AbortSignal): Promise<void> {
  for (let sequence = 1; !signal.aborted; sequence++) await link.send(operations(sequence, batch), signal).catch(() => undefined)
}

async function take(link: Link): Promise<void> {
  try {
    const messages = link.receive()[Symbol.asyncIterator]()
    while ((await messages.next()).done !== true);
  } catch { /* the end of the test */ }
}

/** Bytes on the wire in so long. */
async function passed(bytes: () => number, ms: number): Promise<number> {
  const [before, began] = [bytes(), performance.now()]
  await new Promise(resolve => { setTimeout(resolve, ms) })
  return (bytes() - before) / (performance.now() - began) * 1000
}

t.test('a limit holds within 5 % over 10 s on the wire, and another one holds at once', { timeout: 120_000 }, async t => {
  await using pair = await measured()
  const stop = new AbortController()
  void take(pair.appliance)
  void take(pair.agent)
  pair.agent.transmit({ compression: 'off', bandwidthBytesPerS: 200_000 })
  const flooding = flood(pair.agent, randomBytes(1024 * 1024), stop.signal)
  for (const rate of [200_000, 3500, 2_000_000]) {
    pair.agent.transmit({ compression: 'off', bandwidthBytesPerS: rate })
    await passed(pair.bytes, 100) // what was on its way through the line counts for before
    const measured = await passed(pair.bytes, 10_000)
    t.ok(measured > 0.95 * rate && measured < 1.05 * rate, `${String(rate)} bytes/s: ${measured.toFixed(0)} measured`)
  }
  stop.abort()
  await flooding
})

t.test('control messages pass a megabyte of data at the least bandwidth within seconds, and the link stays alive', { timeout: 60_000 }, async t => {
  await using pair = await measured()
  void take(pair.agent)
  pair.agent.transmit({ compression: 'off', bandwidthBytesPerS: 3500 })
  const stop = new AbortController()
  const flooding = flood(pair.agent, randomBytes(1024 * 1024), stop.signal)
  const began = performance.now()
  await pair.agent.send(hold(1), soon())
  for await (const message of pair.appliance.receive()) {
    if (message.type === 'control') break
    t.fail('the data was whole before it')
  }
  t.ok(performance.now() - began < 5000, `${(performance.now() - began).toFixed(0)} ms`)
  stop.abort()
  await flooding
})

t.test('a limit slows an idle link in nothing, and its end lets the rest through at once', { timeout: 60_000 }, async t => {
  await using pair = await measured()
  void take(pair.agent)
  pair.agent.transmit({ compression: 'off', bandwidthBytesPerS: 3500 })
  const batch = randomBytes(3 * 1024 * 1024)
  const sending = pair.agent.send(operations(1, batch), soon())
  await passed(pair.bytes, 500)
  pair.agent.transmit({ compression: 'off' })
  for await (const message of pair.appliance.receive()) {
    t.ok(message.type === 'operations' && message.batch.equals(batch))
    break
  }
  await sending
})

t.test('compression sends text in a tenth of its bytes and noise in no more than it has', { timeout: 60_000 }, async t => {
  await using pair = await measured()
  void take(pair.agent)
  const received = pair.appliance.receive()[Symbol.asyncIterator]()
  for (const [what, batch, most] of [['text', Buffer.alloc(1024 * 1024, 'a line of a log file, and another one\n'), 0.1], ['noise', randomBytes(1024 * 1024), 1.01]] as const) {
    for (const compression of ['minimum', 'medium', 'maximum'] as const) {
      pair.agent.transmit({ compression })
      const [before, sent, packed] = [pair.bytes(), pair.agent.bytesSent, pair.agent.bytesSentPacked]
      for (let sequence = 1; sequence <= 3; sequence++) {
        await pair.agent.send(operations(sequence, batch), soon())
        const next = await received.next()
        t.ok(next.done !== true && next.value.type === 'operations' && next.value.batch.equals(batch), `${what}, ${compression}`)
      }
      const onWire = pair.bytes() - before
      t.ok(onWire < most * 3 * batch.length, `${what}, ${compression}: ${String(onWire)} bytes on the wire`)
      t.ok(pair.agent.bytesSent - sent > 3 * batch.length)
      t.ok(Math.abs(pair.agent.bytesSentPacked - packed - onWire) < 0.01 * batch.length + 2000, 'the figure tells what went out')
    }
  }
})
