import fc from 'fast-check'
import t from 'tap'
import { readEvents, type ServerSentEvent } from '../../../src/cli/event-stream.ts'
import { propertyRuns } from '../../seed.ts'

async function* chunksOf(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function collect(text: string, sizes: readonly number[] = [1 << 20]): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = []
  for await (const event of readEvents(chunksOf(Buffer.from(text), sizes))) events.push(event)
  return events
}

t.test('name, data and id are read; comments are dropped', async t => {
  t.same(await collect(': alive\n\nevent: job\ndata: {"a":1}\n\nid: 7\nevent: history\ndata:x\n\n'), [
    { event: 'job', data: '{"a":1}', id: undefined }, { event: 'history', data: 'x', id: '7' },
  ])
})

t.test('several data lines join, an event without a name is a message, unknown fields are dropped', async t => {
  t.same(await collect('data: a\ndata\ndata: b\nretry: 5\nnonsense\n\n'), [{ event: 'message', data: 'a\n\nb', id: undefined }])
})

t.test('an event that the end cuts off is dropped', async t => {
  t.same(await collect('data: a\n\ndata: cut\n'), [{ event: 'message', data: 'a', id: undefined }])
})

t.test('however the bytes are cut, the events are the same', async t => {
  const text = 'event: job\r\ndata: {"größe":"日本"}\r\n\r\nid: 1\rdata: x\r\rdata: y\n\n'
  const whole = await collect(text)
  t.equal(whole.length, 3)
  await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 }), async sizes => {
    t.same(await collect(text, sizes), whole)
  }), propertyRuns(50))
})
