import t from 'tap'
import { RequestChannel } from '../../../src/source/request-channel.ts'
import { memoryLinkPair } from '../../../src/wire/memory-link.ts'
import { soon } from './conversation.ts'

function open(): { channel: RequestChannel, ended: AbortController } {
  const ended = new AbortController()
  return { channel: new RequestChannel(memoryLinkPair().appliance, ended.signal), ended }
}
const settled = async (): Promise<void> => { await new Promise(resolve => setImmediate(resolve)) }

t.test('an answer of another kind breaks the protocol, and who waits is told when the link ends for it', async t => {
  const { channel, ended } = open()
  const answer = channel.run(id => ({ kind: 'mirror', id, request: { compare: 'none', orphans: 'keep' }, resume: [] }), 'mirror-complete', () => undefined, soon())
  await settled()
  await t.rejects(channel.take({ kind: 'power-off', id: 1 }), { code: 'FRAME_INVALID' })
  await t.rejects(channel.take({ kind: 'held', id: 1, frozen: true }), { code: 'FRAME_INVALID' })
  ended.abort(new Error('the link has ended'))
  await t.rejects(answer, { message: 'the link has ended' })
})

t.test('what was not asked for, or was answered before, breaks the protocol', async t => {
  const { channel } = open()
  await t.rejects(channel.take({ kind: 'thawed', id: 1 }), { code: 'FRAME_INVALID' })
  const answer = channel.ask(id => ({ kind: 'thaw', id }), 'thawed', 1000, soon())
  await settled()
  await channel.take({ kind: 'thawed', id: 1 })
  await answer
  await t.rejects(channel.take({ kind: 'thawed', id: 1 }), { code: 'FRAME_INVALID' })
})

t.test('a question that nobody took back is not answered by "cancelled"', async t => {
  const { channel, ended } = open()
  const stop = new AbortController()
  const first = channel.ask(id => ({ kind: 'hold', id }), 'held', 60_000, stop.signal)
  await settled()
  await t.rejects(channel.take({ kind: 'cancelled', id: 1 }), { code: 'FRAME_INVALID' })
  stop.abort(new Error('enough'))
  await t.rejects(first, { message: 'enough' })
  await channel.take({ kind: 'cancelled', id: 1 })
  ended.abort(new Error('over'))
})

t.test('a failure with a code that is none of ours is INTERNAL', async t => {
  const { channel } = open()
  for (const [i, [code, wanted]] of [['REPLICA_FULL', 'REPLICA_FULL'], ['toString', 'INTERNAL'], ['__proto__', 'INTERNAL'], ['', 'INTERNAL']].entries()) {
    const answer = channel.ask(id => ({ kind: 'thaw', id }), 'thawed', 60_000, soon())
    answer.catch(() => undefined)
    await settled()
    await channel.take({ kind: 'failed', id: i + 1, code: code ?? '', message: 'm' })
    await t.rejects(answer, { code: wanted })
  }
})
