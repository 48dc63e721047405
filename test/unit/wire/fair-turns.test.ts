import t from 'tap'
import { FairTurns, type Kind } from '../../../src/wire/fair-turns.ts'

const SIGNAL = new AbortController().signal

/** Both kinds always have something to send; how many bytes each has got after so many turns. */
async function served(turns: FairTurns, senders: readonly { kind: Kind, bytes: number }[], count: number): Promise<Record<Kind, number>> {
  const got = { mirror: 0, replication: 0 }
  let left = count
  await Promise.all(senders.map(async ({ kind, bytes }) => {
    while (left > 0) {
      await turns.take(kind, bytes, SIGNAL)
      // those who wait when it is over get a turn, too
      if (left-- > 0) got[kind] += bytes
      await new Promise<void>(resolve => { setImmediate(resolve) })
      turns.give()
    }
  }))
  return got
}

t.test('while both have something to send each gets its share in bytes, however many senders and however large their batches', async t => {
  for (const [mirror, replication] of [[1, 1], [3, 1], [1, 4]] as const) {
    const senders = [...Array.from({ length: 19 }, () => ({ kind: 'mirror' as const, bytes: 2_000_000 })), { kind: 'replication' as const, bytes: 10_000 }]
    const got = await served(new FairTurns(() => ({ mirror, replication })), senders, 20_000)
    const share = got.mirror / (got.mirror + got.replication)
    t.ok(Math.abs(share - mirror / (mirror + replication)) < 0.03, `${String(mirror)}:${String(replication)} gives ${share.toFixed(3)}`)
  }
})

t.test('a kind that was alone does not pay for it, and one that was away has saved nothing up', async t => {
  const turns = new FairTurns(() => ({ mirror: 1, replication: 1 }))
  await served(turns, [{ kind: 'mirror', bytes: 1000 }], 500)
  const both = [{ kind: 'mirror', bytes: 1000 }, { kind: 'mirror', bytes: 1000 }, { kind: 'replication', bytes: 1000 }] as const
  const got = await served(turns, both, 100)
  t.ok(got.mirror >= 45_000 && got.replication >= 45_000, JSON.stringify(got))
})

t.test('the ratio may change at any time', async t => {
  let ratio = { mirror: 1, replication: 1 }
  const turns = new FairTurns(() => ratio)
  const senders = [{ kind: 'mirror', bytes: 1000 }, { kind: 'mirror', bytes: 1000 }, { kind: 'replication', bytes: 1000 }, { kind: 'replication', bytes: 1000 }] as const
  await served(turns, senders, 100)
  ratio = { mirror: 9, replication: 1 }
  const got = await served(turns, senders, 1000)
  t.ok(Math.abs(got.mirror / 1_000_000 - 0.9) < 0.03, JSON.stringify(got))
})

t.test('one that gives up while it waits is passed by, and the rest goes on', async t => {
  const turns = new FairTurns(() => ({ mirror: 1, replication: 1 }))
  await turns.take('mirror', 10, SIGNAL)
  const abort = new AbortController()
  const given = turns.take('replication', 10, abort.signal)
  const next = turns.take('replication', 10, SIGNAL)
  abort.abort(new Error('no more'))
  await t.rejects(given, { message: 'no more' })
  turns.give()
  await next
  turns.give()
  await turns.take('mirror', 10, SIGNAL)
  await t.rejects(turns.take('mirror', 10, abort.signal), { message: 'no more' })
  turns.give()
})
