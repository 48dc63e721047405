import t from 'tap'
import type { Link } from '../../src/wire/link.ts'
import { CONTROL_WINDOW_BYTES, DATA_WINDOW_BYTES } from '../../src/wire/credit.ts'
import { encodeMessage } from '../../src/wire/message-codec.ts'
import type { Control, Message } from '../../src/wire/messages.ts'
import { encodeOperation, type OperationBatch } from '../../src/wire/operation-codec.ts'
import { parseRelPath } from '../../src/domain/rel-path.ts'

export interface LinkPair extends AsyncDisposable {
  agent: Link
  appliance: Link
  /** ends the transport under both */
  cut(): void
}

const MIB = 1024 * 1024
const soon = (): AbortSignal => AbortSignal.timeout(10_000)
const control = (c: Control): Message => ({ type: 'control', control: c })
const batchOf = (sizeBytes: number): OperationBatch => encodeOperation({ kind: 'write', path: parseRelPath(Buffer.from('f')), offset: 0, data: Buffer.alloc(sizeBytes, 7) })
const operations = (sequence: number, batch: OperationBatch): Message => ({ type: 'operations', volume: 3, sequence, batch })

/** Resolves with 'waits' when the promise has not settled after everything that could settle it had its turn. */
async function stateOf(promise: Promise<unknown>): Promise<string> {
  const settled = promise.then(() => 'resolved', () => 'rejected')
  return await Promise.race([settled, new Promise<string>(resolve => { setTimeout(() => { resolve('waits') }, 100) })])
}

/** Sends as many batches of 1 MiB as the window takes, and one more; gives how many went and the one that waits. */
async function fill(link: Link, signal: AbortSignal): Promise<{ sent: number, waiting: Promise<void> }> {
  const batch = batchOf(MIB)
  const sent = Math.floor(DATA_WINDOW_BYTES / encodeMessage(operations(1, batch)).sizeBytes)
  for (let sequence = 1; sequence <= sent; sequence++) await link.send(operations(sequence, batch), signal)
  const waiting = link.send(operations(sent + 1, batch), signal)
  waiting.catch(() => undefined)
  return { sent, waiting }
}

/** Runs the whole Link contract against what `open` returns. */
export function linkContract(name: string, open: () => Promise<LinkPair>): void {
  t.test(`Link contract: ${name}`, async t => {
    t.test('messages of every type arrive once, unchanged, both ways; control and data keep their order', async t => {
      await using pair = await open()
      const path = parseRelPath(Buffer.from([0x61, 0x2f, 0xff]))
      const messages: Message[] = [
        control({ kind: 'hold', id: 1 }), operations(1, batchOf(10)), { type: 'list', volume: 1, request: 2, directories: [path] },
        { type: 'listing', volume: 1, request: 2, directory: 0, last: true, page: Buffer.alloc(0) as never },
        { type: 'hash', volume: 1, request: 3, path, offset: 5, lengthBytes: 4096, blockBytes: 4096 }, { type: 'hashes', volume: 1, request: 3, hashes: Buffer.alloc(16, 1) },
        operations(2, batchOf(3 * MIB)), control({ kind: 'hold', id: 2 }),
      ]
      for (const [from, to] of [[pair.agent, pair.appliance], [pair.appliance, pair.agent]] as const) {
        const received: Message[] = []
        const receiving = (async () => {
          for await (const message of to.receive()) {
            received.push(message)
            if (received.length === messages.length) return
          }
        })()
        for (const message of messages) await from.send(message, soon())
        await receiving
        const order = (of: readonly Message[]): Message[] => [...of.filter(m => m.type === 'control'), ...of.filter(m => m.type !== 'control')]
        t.same(order(received), order(messages))
      }
      t.ok(pair.agent.bytesSent > 3 * MIB)
      t.ok(pair.appliance.bytesReceived > 0 && pair.agent.bytesSentPacked <= pair.agent.bytesSent)
    })

    t.test('a receiver that takes nothing stops the sender at the window, and lets it go on by taking', async t => {
      await using pair = await open()
      const { sent, waiting } = await fill(pair.agent, soon())
      t.equal(await stateOf(waiting), 'waits')
      const sequences: number[] = []
      for await (const message of pair.appliance.receive()) {
        if (message.type === 'operations') sequences.push(message.sequence)
        if (sequences.length === sent + 1) break
      }
      await waiting
      t.same(sequences, Array.from({ length: sent + 1 }, (_, i) => i + 1))
    })

    t.test('control messages pass when data waits for credit', async t => {
      await using pair = await open()
      await fill(pair.agent, soon())
      await pair.agent.send(control({ kind: 'hold', id: 9 }), soon())
      for await (const message of pair.appliance.receive()) {
        if (message.type === 'control') {
          t.same(message.control, { kind: 'hold', id: 9 })
          break
        }
      }
    })

    t.test('what says that work has ended stays behind the data that was sent before it', async t => {
      await using pair = await open()
      const sending = (async () => {
        for (let sequence = 1; sequence <= 5; sequence++) await pair.agent.send(operations(sequence, batchOf(MIB)), soon())
        await pair.agent.send(control({ kind: 'flush' }), soon())
        await pair.agent.send(operations(6, batchOf(MIB)), soon())
        await pair.agent.send(control({ kind: 'cancelled', id: 1 }), soon())
      })()
      const seen: (number | string)[] = []
      for await (const message of pair.appliance.receive()) {
        if (message.type === 'operations') seen.push(message.sequence)
        if (message.type === 'control') seen.push(message.control.kind)
        if (message.type === 'control' && message.control.kind === 'cancelled') break
      }
      await sending
      t.same(seen, [1, 2, 3, 4, 5, 'flush', 6, 'cancelled'])
    })

    t.test('how it sends may change at any time, and what arrives is the same', async t => {
      await using pair = await open()
      const ways = [{ compression: 'maximum' }, { compression: 'off', bandwidthBytesPerS: 20 * MIB }, { compression: 'minimum', bandwidthBytesPerS: 100 * MIB }, { compression: 'off' }] as const
      const batch = Buffer.concat([batchOf(3 * MIB), batchOf(200)]) as OperationBatch
      const sending = (async () => {
        for (const [i, how] of ways.entries()) {
          pair.agent.transmit(how)
          await pair.agent.send(operations(i + 1, batch), soon())
          await pair.agent.send(control({ kind: 'hold', id: i + 1 }), soon())
        }
      })()
      const seen: number[] = []
      let controls = 0
      for await (const message of pair.appliance.receive()) {
        if (message.type === 'control') controls++
        if (message.type === 'operations') {
          seen.push(message.sequence)
          if (!message.batch.equals(batch)) t.fail(`batch ${String(message.sequence)} is another one`)
        }
        if (controls + seen.length === 2 * ways.length) break
      }
      await sending
      t.same(seen, [1, 2, 3, 4])
    })

    t.test('control messages too are held back by a receiver that takes nothing', async t => {
      await using pair = await open()
      const large = control({ kind: 'refuse', code: 'X', message: 'm'.repeat(MIB / 2) })
      const fitting = Math.floor(CONTROL_WINDOW_BYTES / encodeMessage(large).sizeBytes)
      for (let sent = 0; sent < fitting; sent++) await pair.agent.send(large, soon())
      t.equal(await stateOf(pair.agent.send(large, soon())), 'waits')
    })

    t.test('an aborted send of a message that waits gives it up and leaves the link usable', async t => {
      await using pair = await open()
      const stop = new AbortController()
      const { sent, waiting } = await fill(pair.agent, stop.signal)
      stop.abort()
      await t.rejects(waiting, { name: 'AbortError' })
      await t.rejects(pair.agent.send(control({ kind: 'hold', id: 1 }), stop.signal), { name: 'AbortError' }, 'nor is one sent with an aborted signal')
      let received = 0
      const receiving = (async () => {
        for await (const message of pair.appliance.receive()) {
          if (message.type === 'operations') received++
          if (message.type === 'control') return message.control
        }
        return undefined
      })()
      await stateOf(receiving)
      await pair.agent.send(control({ kind: 'thaw', id: 7 }), soon())
      t.same(await receiving, { kind: 'thaw', id: 7 })
      t.equal(received, sent)
    })

    t.test('an orderly end lets everything arrive, then ends the peer\'s messages', async t => {
      await using pair = await open()
      await pair.agent.send(operations(1, batchOf(MIB)), soon())
      await pair.agent.send(control({ kind: 'cancelled', id: 1 }), soon())
      const closing = pair.agent[Symbol.asyncDispose]()
      const types: string[] = []
      for await (const message of pair.appliance.receive()) types.push(message.type)
      await closing
      t.same(types, ['operations', 'control'])
      await t.rejects(pair.agent.send(control({ kind: 'hold', id: 1 }), soon()), { code: 'LINK_LOST' })
      await t.rejects(pair.appliance.send(control({ kind: 'hold', id: 1 }), soon()), { code: 'LINK_LOST' })
    })

    t.test('a cut ends both sides with LINK_LOST, behind what had arrived', async t => {
      await using pair = await open()
      await pair.agent.send(control({ kind: 'hold', id: 1 }), soon())
      const received = pair.appliance.receive()[Symbol.asyncIterator]()
      t.match(await received.next(), { value: { type: 'control' } })
      const { waiting } = await fill(pair.agent, soon())
      pair.cut()
      await t.rejects(waiting, { code: 'LINK_LOST' }, 'a message that waits for credit')
      await t.rejects(pair.agent.receive()[Symbol.asyncIterator]().next(), { code: 'LINK_LOST' })
      await t.rejects((async () => { while (!(await received.next()).done); })(), { code: 'LINK_LOST' })
      await t.rejects(pair.appliance.send(control({ kind: 'hold', id: 1 }), soon()), { code: 'LINK_LOST' })
    })

    t.test('disposing twice, and after a cut, is fine', async t => {
      const pair = await open()
      await pair.agent[Symbol.asyncDispose]()
      await pair.agent[Symbol.asyncDispose]()
      pair.cut()
      await pair.appliance[Symbol.asyncDispose]()
      await pair[Symbol.asyncDispose]()
      t.pass()
    })

    t.test('messages can be received once only', async t => {
      await using pair = await open()
      const first = pair.agent.receive()[Symbol.asyncIterator]().next()
      await t.rejects(pair.agent.receive()[Symbol.asyncIterator]().next(), { code: 'INTERNAL' })
      pair.cut()
      await t.rejects(first, { code: 'LINK_LOST' })
    })
  })
}
