import t from 'tap'
import { parseRelPath } from '../../../src/domain/rel-path.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { AcknowledgedStream } from '../../../src/wire/acknowledged-stream.ts'
import { DATA_WINDOW_BYTES } from '../../../src/wire/credit.ts'
import type { Link } from '../../../src/wire/link.ts'
import { asListingPage } from '../../../src/wire/listing-codec.ts'
import { memoryLinkPair } from '../../../src/wire/memory-link.ts'
import type { Message } from '../../../src/wire/messages.ts'
import { encodeOperation, type OperationBatch } from '../../../src/wire/operation-codec.ts'
import { MAX_OPEN_REQUESTS, type ReplicaListing } from '../../../src/wire/operation-stream.ts'

const soon = (): AbortSignal => AbortSignal.timeout(5000)
const path = parseRelPath(Buffer.from('a'))
const batchOf = (sizeBytes: number): OperationBatch => encodeOperation({ kind: 'write', path, offset: 0, data: Buffer.alloc(sizeBytes) })
const page = (bytes: number) => asListingPage(Buffer.alloc(bytes))

function open(): { stream: AcknowledgedStream, appliance: Link, next: () => Promise<Message> } {
  const links = memoryLinkPair()
  const messages = links.appliance.receive()[Symbol.asyncIterator]()
  return {
    stream: new AcknowledgedStream(links.agent), appliance: links.appliance,
    next: async () => {
      const result = await messages.next()
      if (result.done === true) throw new Error('ended')
      return result.value
    },
  }
}

/** Resolves with false when the promise has not settled soon. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  return await Promise.race([promise.then(() => true, () => true), new Promise<boolean>(resolve => { setTimeout(() => { resolve(false) }, 50) })])
}

t.test('sequences count without gaps, also when a sender gives up', async t => {
  const { stream, next } = open()
  t.equal(await stream.send(1, batchOf(10), soon()), 1)
  t.equal(await stream.send(1, Buffer.alloc(0) as OperationBatch, soon()), 1, 'nothing is not sent')
  let last = 1
  const stop = new AbortController()
  for (;;) {
    const sending = stream.send(1, batchOf(1024 * 1024), stop.signal)
    sending.catch(() => undefined)
    if (!await settles(sending)) {
      stop.abort()
      await t.rejects(sending, { name: 'AbortError' })
      break
    }
    last = await sending
  }
  t.ok(last * 1024 * 1024 <= DATA_WINDOW_BYTES + 1024 * 1024)
  t.equal(stream.sent, last)
  const sequences: number[] = []
  const more = stream.send(1, batchOf(1024 * 1024), soon())
  while (sequences.length <= last) {
    const message = await next()
    if (message.type === 'operations') sequences.push(message.sequence)
  }
  t.equal(await more, last + 1)
  t.same(sequences, Array.from({ length: last + 1 }, (_, i) => i + 1))
})

t.test('waits end when the acknowledgement reaches their sequence', async t => {
  const { stream } = open()
  for (let i = 0; i < 3; i++) await stream.send(1, batchOf(1), soon())
  const applied = stream.whenApplied(2, soon())
  const durable = stream.whenDurable(2, soon())
  stream.acknowledge({ kind: 'acknowledge', applied: 2, durable: 1, failures: [] })
  await applied
  t.notOk(await settles(durable))
  stream.acknowledge({ kind: 'acknowledge', applied: 3, durable: 3, failures: [] })
  await durable
  t.match(stream, { applied: 3, durable: 3 })
  const stop = new AbortController()
  const waiting = stream.whenDurable(4, stop.signal)
  stop.abort()
  await t.rejects(waiting, { name: 'AbortError' })
})

t.test('an acknowledgement that goes back, or beyond what was sent, is FRAME_INVALID', async t => {
  const { stream } = open()
  await stream.send(1, batchOf(1), soon())
  const acknowledge = (applied: number, durable: number) => () => { stream.acknowledge({ kind: 'acknowledge', applied, durable, failures: [] }) }
  t.throws(acknowledge(2, 0), { code: 'FRAME_INVALID' })
  t.throws(acknowledge(0, 1), { code: 'FRAME_INVALID' })
  t.doesNotThrow(acknowledge(1, 1))
  t.throws(acknowledge(0, 0), { code: 'FRAME_INVALID' })
})

t.test('failures are given once', async t => {
  const { stream } = open()
  await stream.send(1, batchOf(1), soon())
  const failure = { sequence: 1, volume: 1, index: 0, operation: 'write', path: '', errno: 'ENOENT', what: '', partial: false }
  stream.acknowledge({ kind: 'acknowledge', applied: 1, durable: 0, failures: [failure] })
  t.same(stream.takeFailures(), [failure])
  t.same(stream.takeFailures(), [])
})

t.test('listings come in the order of the request, and a large one waits for its consumer', async t => {
  const { stream, next } = open()
  const got: ReplicaListing[] = []
  const listing = stream.list(1, [path, path], soon())[Symbol.asyncIterator]()
  const first = listing.next()
  const message = await next()
  t.match(message, { type: 'list', volume: 1, directories: [path, path] })
  const request = message.type === 'list' ? message.request : 0
  const arrive = (directory: number, bytes: number, last: boolean): void => { stream.listing({ type: 'listing', volume: 1, request, directory, last, page: page(bytes) }) }
  arrive(0, 400_000, false)
  arrive(0, 400_000, true)
  got.push((await first).value as ReplicaListing, (await listing.next()).value as ReplicaListing)
  t.match(await next(), { control: { kind: 'listed', request, bytes: 800_000 } })
  t.throws(() => { arrive(0, 1, true) }, { code: 'FRAME_INVALID' }, 'a directory that has ended')
  arrive(1, 10, true)
  got.push((await listing.next()).value as ReplicaListing)
  t.same(await listing.next(), { value: undefined, done: true })
  t.same(got.map(({ directory, last, page: { length } }) => [directory, last, length]), [[0, false, 400_000], [0, true, 400_000], [1, true, 10]])
  t.throws(() => { arrive(1, 1, true) }, { code: 'FRAME_INVALID' }, 'a request that has ended')
})

t.test('a list that is left early costs no slot for ever', async t => {
  const { stream, next } = open()
  for (let i = 0; i < 3 * MAX_OPEN_REQUESTS; i++) {
    const listing = stream.list(1, [path, path], soon())
    const first = listing.next()
    const message = await next()
    const request = message.type === 'list' ? message.request : 0
    stream.listing({ type: 'listing', volume: 1, request, directory: 0, last: true, page: page(1) })
    await first
    await listing.return()
    stream.listing({ type: 'listing', volume: 1, request, directory: 1, last: true, page: page(1) })
  }
  t.pass()
})

t.test('no more than the agreed number of requests is open at once', async t => {
  const { stream, next } = open()
  const hashing = Array.from({ length: MAX_OPEN_REQUESTS + 1 }, async () => await stream.hashes(1, path, 0, 4096, 4096, soon()))
  const requests: number[] = []
  for (let i = 0; i < MAX_OPEN_REQUESTS; i++) {
    const message = await next()
    if (message.type === 'hash') requests.push(message.request)
  }
  const further = next()
  t.notOk(await settles(further))
  stream.answered({ type: 'hashes', volume: 1, request: requests[0] ?? 0, hashes: Buffer.alloc(16, 1) })
  t.same(await hashing[0], Buffer.alloc(16, 1))
  t.match(await further, { type: 'hash' })
  t.throws(() => { stream.answered({ type: 'hashes', volume: 1, request: 999, hashes: Buffer.alloc(0) }) }, { code: 'FRAME_INVALID' })
  stream.fail(new AppError('LINK_LOST', 'gone'))
  for (const waiting of hashing.slice(1)) await t.rejects(waiting, { code: 'LINK_LOST' })
})

t.test('an answer to digests is as long as the question and nothing else', async t => {
  const { stream, next } = open()
  const asked = stream.same(1, [{ path, digest: Buffer.alloc(16, 1) }, { path, digest: Buffer.alloc(16, 2) }], soon())
  const message = await next()
  const request = message.type === 'digests' ? message.request : -1
  const answer = (same: Buffer) => (): void => { stream.answered({ type: 'same', volume: 1, request, same }) }
  t.throws(answer(Buffer.alloc(1)), { code: 'FRAME_INVALID' })
  t.throws(answer(Buffer.alloc(3)), { code: 'FRAME_INVALID' })
  t.throws(() => { stream.answered({ type: 'hashes', volume: 1, request, hashes: Buffer.alloc(2) }) }, { code: 'FRAME_INVALID' })
  answer(Buffer.from([0, 1]))()
  t.same(await asked, Buffer.from([0, 1]))
  t.throws(answer(Buffer.from([0, 1])), { code: 'FRAME_INVALID' }, 'only once')
})

t.test('when the link ends every wait ends with its error', async t => {
  const { stream, next } = open()
  await stream.send(1, batchOf(1), soon())
  const listing = stream.list(1, [path], soon()).next()
  const waits: Promise<unknown>[] = [stream.whenApplied(1, soon()), stream.whenDurable(1, soon()), listing]
  await next()
  await next()
  stream.fail(new AppError('LINK_LOST', 'gone'))
  for (const wait of waits) await t.rejects(async () => { await wait }, { code: 'LINK_LOST' })
  await t.rejects(stream.whenDurable(1, soon()), { code: 'LINK_LOST' })
  await t.rejects(stream.send(1, batchOf(1), soon()), { code: 'LINK_LOST' })
  await t.rejects(stream.list(1, [path], soon()).next(), { code: 'LINK_LOST' })
})
