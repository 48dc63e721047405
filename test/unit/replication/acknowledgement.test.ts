import t from 'tap'
import { AcknowledgementLedger } from '../../../src/replication/acknowledgement.ts'
import { encodeMessage } from '../../../src/wire/message-codec.ts'
import type { AppliedFailure } from '../../../src/wire/messages.ts'

const soon = (): AbortSignal => AbortSignal.timeout(10_000)
const failures = (count: number, pathBytes: number): AppliedFailure[] => Array.from({ length: count }, (_, index) => ({ sequence: 1, volume: 0, index, operation: 'remove', path: Buffer.alloc(pathBytes, 'a').toString('base64'), errno: 'EINVAL', what: '\u0001'.repeat(pathBytes === 1 ? 250 : 0), partial: false }))

for (const pathBytes of [1, 4094]) t.test(`failures with much text fit into control messages, and none is lost: paths of ${String(pathBytes)} bytes`, async t => {
  const ledger = new AcknowledgementLedger()
  ledger.noteApplied(1, failures(3000, pathBytes), false)
  const told: number[] = []
  while (told.length < 3000) {
    const acknowledgement = await ledger.next(soon())
    t.ok(acknowledgement.failures.length > 0)
    t.doesNotThrow(() => encodeMessage({ type: 'control', control: { kind: 'acknowledge', ...acknowledgement, failures: [...acknowledgement.failures] } }))
    told.push(...acknowledgement.failures.map(failure => failure.index))
  }
  t.same(told, Array.from({ length: 3000 }, (_, i) => i))
})

t.test('an acknowledgement carries a thousand failures at most', async t => {
  const ledger = new AcknowledgementLedger()
  ledger.noteApplied(1, failures(1001, 2), false)
  t.equal((await ledger.next(soon())).failures.length, 1000)
  t.equal((await ledger.next(soon())).failures.length, 1)
})

t.test('with too many failures waiting there is no room, until they are taken', async t => {
  const ledger = new AcknowledgementLedger()
  ledger.noteApplied(1, failures(10_000, 1), false)
  await ledger.whenRoom(soon())
  ledger.noteApplied(2, failures(1, 1), false)
  let room = false
  const waiting = (async () => {
    await ledger.whenRoom(soon())
    room = true
  })()
  await new Promise(resolve => setImmediate(resolve))
  t.notOk(room)
  await ledger.next(soon())
  await waiting
  t.ok(room)
})

t.test('who waits for room is told when the flush failed or he gives up', async t => {
  const ledger = new AcknowledgementLedger()
  ledger.noteApplied(1, failures(10_001, 1), false)
  const stop = new AbortController()
  const given = ledger.whenRoom(stop.signal)
  stop.abort(new Error('enough'))
  await t.rejects(given, { message: 'enough' })
  const waiting = ledger.whenRoom(soon())
  ledger.fail(new Error('disk'))
  await t.rejects(waiting, { message: 'disk' })
})

t.test('while more waits, batches are told together; a failure, and the last one, at once', async t => {
  const ledger = new AcknowledgementLedger()
  let told: number[] = []
  const telling = (async () => {
    for (;;) {
      const { applied } = await ledger.next(soon())
      told.push(applied)
    }
  })().catch(() => undefined)
  const settled = async (): Promise<number[]> => {
    await new Promise(resolve => setImmediate(resolve))
    const now = told
    told = []
    return now
  }
  for (let sequence = 1; sequence < 8; sequence++) ledger.noteApplied(sequence, [], true)
  t.same(await settled(), [])
  ledger.noteApplied(8, [], true)
  t.same(await settled(), [8])
  ledger.noteApplied(9, failures(1, 1), true)
  t.same(await settled(), [9])
  ledger.noteApplied(10, [], true)
  ledger.noteApplied(11, [], false)
  t.same(await settled(), [11])
  ledger.noteApplied(12, [], true)
  ledger.noteDurable(12)
  t.same(await settled(), [12], 'what is durable is told at once')
  ledger.fail(new Error('enough'))
  await telling
})
