import t from 'tap'
import { followJob, waitForJob, type FollowOptions } from '../../../src/cli/follow-job.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { jobView } from './records.ts'

type Connection = { events: { event: string, data: unknown, id?: string }[], end?: Error } | Error

const reset = (): Error => Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
const history = (sequence: number): { event: string, data: unknown, id: string } =>
  ({ event: 'history', id: String(sequence), data: { sequence, jobId: 'j-1', atUtc: '2026-01-02T03:04:05Z', kind: 'state', message: `event ${String(sequence)}` } })
const state = (changes: Parameters<typeof jobView>[0]): { event: string, data: unknown } => ({ event: 'job', data: jobView(changes) })

function following(connections: readonly Connection[]): { options: FollowOptions, headers: Record<string, string>[], lost: string[], slept: number[] } {
  const headers: Record<string, string>[] = []
  const lost: string[] = []
  const slept: number[] = []
  let nowMs = 0
  const waiting = [...connections]
  return {
    headers, lost, slept,
    options: {
      job: 'j-1', signal: AbortSignal.timeout(10_000), now: () => nowMs, sleep: async (ms, signal) => { signal.throwIfAborted(); slept.push(ms); nowMs += ms }, onLost: e => { lost.push(e.message) },
      client: {
        stream: async (_path, sent) => {
          headers.push({ ...sent })
          const next = waiting.shift() ?? new AppError('LINK_REFUSED', 'nobody there')
          if (next instanceof Error) throw next
          return (async function* () {
            for (const { event, data, id } of next.events) yield Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
            if (next.end !== undefined) throw next.end
          })()
        },
      },
    },
  }
}

async function names(options: FollowOptions): Promise<string[]> {
  const found: string[] = []
  for await (const event of followJob(options)) found.push(event.event === 'job' ? event.data.state : event.data.message)
  return found
}

t.test('after a lost connection it goes on behind the last history event', async t => {
  const { options, headers, lost } = following([
    { events: [state({}), history(4), state({ state: 'mirroring' })], end: reset() },
    new AppError('LINK_REFUSED', 'cannot reach'),
    { events: [state({ state: 'protecting' }), history(5), state({ state: 'removed' })] },
  ])
  t.same(await names(options), ['created', 'event 4', 'mirroring', 'protecting', 'event 5', 'removed'])
  t.same(headers, [{}, { 'last-event-id': '4' }, { 'last-event-id': '4' }])
  t.same(lost, ['socket hang up'], 'a loss is told once')
})

t.test('a stream that ends before the job is removed is opened again', async t => {
  const { options, headers } = following([{ events: [state({})] }, { events: [state({ state: 'removed' })] }])
  t.same(await names(options), ['created', 'removed'])
  t.equal(headers.length, 2)
})

t.test('pauses grow to ten seconds and it gives up after a quarter of an hour', async t => {
  const { options, slept } = following([{ events: [state({})], end: reset() }])
  await t.rejects(names(options), { code: 'LINK_REFUSED' })
  t.same(slept.slice(0, 6), [500, 1000, 2000, 4000, 8000, 10_000])
  t.ok(slept.reduce((a, b) => a + b, 0) > 15 * 60_000)
})

t.test('an unknown job, a refused token and a first connection that fails are told at once', async t => {
  for (const code of ['JOB_NOT_FOUND', 'ACCESS_DENIED', 'LINK_REFUSED'] as const) {
    const { options, slept } = following([new AppError(code, 'no')])
    await t.rejects(names(options), { code })
    t.same(slept, [])
  }
})

t.test('a job that was removed while the connection was lost ends the events', async t => {
  const { options } = following([{ events: [state({})], end: reset() }, new AppError('JOB_NOT_FOUND', 'gone')])
  t.same(await names(options), ['created'])
})

t.test('kinds of events that are not known are passed over, damaged ones are ANSWER_INVALID', async t => {
  t.same(await names(following([{ events: [{ event: 'weather', data: 1 }, state({ state: 'removed' })] }]).options), ['removed'])
  await t.rejects(names(following([{ events: [{ event: 'job', data: { id: 1 } }] }]).options), { code: 'ANSWER_INVALID' })
})

t.test('waiting ends with the first view that is wanted', async t => {
  const { options } = following([{ events: [state({ state: 'validating' }), state({ state: 'ready' }), state({ state: 'removed' })] }])
  t.equal((await waitForJob(options, v => v.state === 'ready'))?.state, 'ready')
})
