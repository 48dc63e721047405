import t from 'tap'
import { decide, type TransmitFacts, type TransmitOrder } from '../../../src/job/transmit-decision.ts'

const NOON = Date.UTC(2026, 0, 31, 12)
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const ORDER: TransmitOrder = { bandwidthSchedule: [], compression: 'off', paused: false }
const FACTS: TransmitFacts = { nowMs: NOON, createdAtMs: NOON - 90 * MINUTE, beganAtMs: undefined, isRunning: false, sentBytes: 0, queued: 5, oldestMs: MINUTE }
const running = (sinceMs: number): Partial<TransmitFacts> => ({ isRunning: true, beganAtMs: NOON - sinceMs })

type Row = [title: string, order: TransmitOrder['transmitSchedule'], facts: Partial<TransmitFacts>, mode: 'active' | 'scheduled']

const ROWS: Row[] = [
  ['without a schedule data flows', undefined, {}, 'active'],
  ['before its start nothing is sent', { startAtUtc: '2026-01-31T12:00:01Z' }, {}, 'scheduled'],
  ['from its start on data flows', { startAtUtc: '2026-01-31T12:00:00Z' }, {}, 'active'],
  ['a start alone goes on for good, also when all is sent', { startAtUtc: '2026-01-31T11:00:00Z' }, { ...running(HOUR), queued: 0 }, 'active'],
  ['and over an interruption', { startAtUtc: '2026-01-31T11:00:00Z' }, { beganAtMs: NOON - HOUR }, 'active'],
  ['an interval without a start is counted from the creation: first at once', { everyMs: HOUR }, {}, 'active'],
  ['within the interval it waits', { everyMs: HOUR }, { beganAtMs: NOON - 20 * MINUTE }, 'scheduled'],
  ['and begins again at the next one', { everyMs: HOUR }, { beganAtMs: NOON - 31 * MINUTE }, 'active'],
  ['a transmission of an interval ends when all is sent', { everyMs: HOUR }, { ...running(MINUTE), queued: 0 }, 'scheduled'],
  ['and goes on until then', { everyMs: HOUR }, { ...running(59 * MINUTE), queued: 1 }, 'active'],
  ['a start with an interval: the third one is due', { startAtUtc: '2026-01-31T10:00:00Z', everyMs: HOUR }, { beganAtMs: NOON - HOUR }, 'active'],
  ['and not before it', { startAtUtc: '2026-01-31T10:30:00Z', everyMs: HOUR }, { beganAtMs: NOON - 30 * MINUTE }, 'scheduled'],
  ['a short queue waits', { queuedChanges: 6 }, {}, 'scheduled'],
  ['a long one is sent', { queuedChanges: 5 }, {}, 'active'],
  ['until nothing waits', { queuedChanges: 5 }, { ...running(MINUTE), queued: 1 }, 'active'],
  ['a young change waits', { oldestMs: MINUTE + 1 }, {}, 'scheduled'],
  ['an old one is sent', { oldestMs: MINUTE }, {}, 'active'],
  ['a mirror is always due for a queue', { queuedChanges: 1000, oldestMs: HOUR }, { queued: Infinity, oldestMs: Infinity }, 'active'],
  ['the limit of bytes ends it', { everyMs: HOUR, byteLimit: 1000 }, { ...running(MINUTE), sentBytes: 1000 }, 'scheduled'],
  ['below it goes on', { everyMs: HOUR, byteLimit: 1000 }, { ...running(MINUTE), sentBytes: 999 }, 'active'],
  ['the limit of time ends it', { everyMs: HOUR, timeLimitMs: MINUTE }, running(MINUTE), 'scheduled'],
  ['outside of the window nothing is sent', { window: { from: '12:01', to: '11:59' } }, {}, 'scheduled'],
  ['inside data flows', { window: { from: '12:00', to: '12:01' } }, {}, 'active'],
  ['the end of the window is outside', { window: { from: '11:00', to: '12:00' } }, running(HOUR), 'scheduled'],
  ['a window over midnight is open before it', { window: { from: '12:00', to: '06:00' } }, {}, 'active'],
  ['and closed at noon when it begins later', { window: { from: '22:00', to: '06:00' } }, {}, 'scheduled'],
  ['the window wins over a start', { startAtUtc: '2026-01-31T11:00:00Z', window: { from: '13:00', to: '14:00' } }, {}, 'scheduled'],
  ['and over what is running', { everyMs: HOUR, window: { from: '13:00', to: '14:00' } }, running(MINUTE), 'scheduled'],
  ['a window has its time zone', { window: { from: '13:00', to: '13:30', timeZone: 'Europe/Berlin' } }, {}, 'active'],
  ['a limit within a window holds for that opening', { window: { from: '11:00', to: '14:00' }, byteLimit: 10 }, { beganAtMs: NOON - MINUTE }, 'scheduled'],
  ['and the next opening has one of its own', { window: { from: '11:00', to: '14:00' }, byteLimit: 10 }, { beganAtMs: NOON - 24 * HOUR }, 'active'],
]

for (const [title, transmitSchedule, facts, mode] of ROWS) {
  t.test(title, async t => { t.equal(decide({ ...ORDER, ...(transmitSchedule === undefined ? {} : { transmitSchedule }) }, { ...FACTS, ...facts }).mode, mode) })
}

t.test('a pause wins over everything', async t => {
  const decision = decide({ ...ORDER, paused: true, transmitSchedule: { everyMs: HOUR } }, { ...FACTS, ...running(MINUTE) })
  t.equal(decision.mode, 'paused')
  t.ok(decision.lookAgainMs !== undefined, 'the figures of the queue are looked at')
})

t.test('the bandwidth is that of the first open window, else of the job', async t => {
  const bandwidthSchedule = [{ from: '08:00', to: '11:00', bandwidthBytesPerS: 5000 }, { from: '11:30', to: '18:00', bandwidthBytesPerS: 7000 }, { from: '11:00', to: '20:00' }]
  const at = (nowMs: number): number | undefined => decide({ ...ORDER, bandwidthBytesPerS: 9000, bandwidthSchedule }, { ...FACTS, nowMs }).line.bandwidthBytesPerS
  t.equal(at(NOON), 7000)
  t.equal(at(NOON - 50 * MINUTE), undefined, 'a window without a rate is one without a limit')
  t.equal(at(NOON + 10 * HOUR), 9000)
  t.equal(decide(ORDER, FACTS).lookAgainMs, undefined, 'without schedules nobody looks at the clock')
})

t.test('mirror and replication share the line as the job says', async t => {
  t.equal(decide(ORDER, FACTS).line.ratio, undefined)
  t.same(decide({ ...ORDER, ratio: { mirror: 3, replication: 1 } }, FACTS).line.ratio, { mirror: 3, replication: 1 })
})
