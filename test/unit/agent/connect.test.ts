import t from 'tap'
import { keepConnected } from '../../../src/agent/connect.ts'
import type { Clock } from '../../../src/clock/clock.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { agentLog } from '../../../src/logging/logger.ts'

const log = agentLog.child({}, { level: 'silent' })

/** A clock whose sleeps take no time and are noted; the signal is aborted at the last one. */
function noted(count: number, stop: AbortController): { clock: Clock, pauses: number[] } {
  const pauses: number[] = []
  const clock: Clock = {
    now: () => 0,
    sleep: async (ms, signal) => {
      pauses.push(ms)
      if (pauses.length === count) stop.abort()
      signal.throwIfAborted()
    },
  }
  return { clock, pauses }
}

const lost = (): AppError => new AppError('LINK_LOST', 'gone')

t.test('pauses grow up to half a minute while nothing answers, with jitter', async t => {
  const stop = new AbortController()
  const { clock, pauses } = noted(9, stop)
  await keepConnected({ clock, log, random: () => 1, serve: async () => { throw lost() } }, stop.signal)
  t.same(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  const again = new AbortController()
  const jittered = noted(3, again)
  await keepConnected({ clock: jittered.clock, log, random: () => 0, serve: async () => { throw lost() } }, again.signal)
  t.same(jittered.pauses, [250, 500, 1000])
})

t.test('a connection that was welcomed begins with short pauses again', async t => {
  const stop = new AbortController()
  const { clock, pauses } = noted(4, stop)
  let calls = 0
  await keepConnected({
    clock, log, random: () => 1, serve: async welcomed => {
      if (++calls === 3) welcomed()
      throw lost()
    },
  }, stop.signal)
  t.same(pauses, [500, 1000, 500, 1000])
})

t.test('it goes on after an orderly end and after a defect', async t => {
  const stop = new AbortController()
  const { clock } = noted(3, stop)
  let calls = 0
  await keepConnected({ clock, log, serve: async () => { if (++calls === 2) throw new TypeError('a defect') } }, stop.signal)
  t.equal(calls, 3)
})

t.test('it stops when the appliance refuses this agent', async t => {
  for (const code of ['PROTOCOL_VERSION', 'PEER_UNTRUSTED'] as const) {
    const { clock } = noted(5, new AbortController())
    await t.rejects(keepConnected({ clock, log, serve: async () => { throw new AppError(code, 'no') } }, new AbortController().signal), { code })
  }
})

t.test('an aborted signal ends it without an error, also in the middle', async t => {
  await keepConnected({ clock: noted(1, new AbortController()).clock, log, serve: async () => { t.fail('must not dial') } }, AbortSignal.abort())
  const stop = new AbortController()
  await keepConnected({ clock: noted(9, stop).clock, log, serve: async () => { stop.abort(); throw lost() } }, stop.signal)
  t.pass()
})
