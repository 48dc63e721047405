import t from 'tap'
import { JobStreamEvent } from '../../../src/domain/api.ts'
import { OPTIONS } from '../../scenario/workload.ts'
import { ApiWorld } from './api-world.ts'

const JOB = { name: 'move-shop', source: 'shop', vmware: 'lab', options: OPTIONS }

interface Received { id: string | undefined, event: JobStreamEvent }

/** Reads events until `enough` says so, or the stream ends. */
async function read(api: ApiWorld, headers: Record<string, string>, enough: (event: JobStreamEvent) => boolean): Promise<Received[]> {
  const answer = await api.open('GET', '/jobs/move-shop/events', { headers })
  t.equal(answer.headers['content-type'], 'text/event-stream')
  const received: Received[] = []
  let text = ''
  for await (const chunk of answer) {
    text += (chunk as Buffer).toString()
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks.filter(other => !other.startsWith(':'))) {
      const fields = Object.fromEntries(block.split('\n').map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]))
      const event = JobStreamEvent.parse({ event: fields['event'], data: JSON.parse(fields['data'] ?? '') as unknown })
      received.push({ id: fields['id'], event })
      if (enough(event)) {
        answer.destroy()
        return received
      }
    }
  }
  return received
}

t.test('a watcher gets the history, the job, and what happens then, until the job is removed', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await api.register()
  await api.call('POST', '/jobs', { body: JOB })
  const reading = read(api, {}, () => false)
  await api.call('POST', '/jobs/move-shop/actions/validate')
  await api.world.until('ready')
  await api.call('POST', '/jobs/move-shop/actions/remove')
  const received = await reading
  const states = received.flatMap(({ event }) => (event.event === 'job' ? [event.data.state] : []))
  t.equal(states.at(-1), 'removed')
  t.ok(received.every(({ event, id }) => (event.event === 'history') === (id !== undefined)), 'history has ids, the job has none')
  t.strictSame(received.flatMap(({ id }) => (id === undefined ? [] : [Number(id)])), Array.from({ length: received.filter(({ id }) => id !== undefined).length }, (_, i) => i + 1))
})

t.test('a watcher that comes back goes on behind the last event it saw', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await api.register()
  await api.call('POST', '/jobs', { body: JOB })
  await api.call('POST', '/jobs/move-shop/actions/validate')
  await api.world.until('ready')
  const received = await read(api, { 'last-event-id': '2' }, event => event.event === 'job')
  t.equal(received[0]?.id, '3')
})

t.test('an unknown job or a senseless Last-Event-ID is a problem, not a stream', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await api.register()
  await api.call('POST', '/jobs', { body: JOB })
  t.equal(await api.refusal('GET', '/jobs/nothing/events'), 'JOB_NOT_FOUND')
  t.equal(await api.refusal('GET', '/jobs/move-shop/events', { headers: { 'last-event-id': 'x' } }), 'REQUEST_INVALID')
})

t.test('open streams do not keep the server from ending', async t => {
  const api = await ApiWorld.open(t.testdir())
  await api.register()
  await api.call('POST', '/jobs', { body: JOB })
  const answer = await api.open('GET', '/jobs/move-shop/events')
  answer.on('error', () => undefined)
  answer.resume()
  await api[Symbol.asyncDispose]()
  t.pass('it has ended')
})
