import t from 'tap'
import { parseBandwidth } from '../../../src/domain/transmission.ts'
import { checkBandwidthSchedule, checkTransmitSchedule, isOpen, TransmitSchedule } from '../../../src/domain/transmit-schedule.ts'

const NOW = Date.UTC(2026, 0, 31, 12)

t.test('a schedule that never opens is refused with its code, and one that does is not', async t => {
  const never: TransmitSchedule[] = [
    {}, { byteLimit: 10 }, { timeLimitMs: 1000 }, { startAtUtc: '2026-01-31T11:59:59Z' }, { window: { from: '08:00', to: '08:00' } }, { everyMs: 1000, window: { from: '08:00', to: '08:00' } },
  ]
  for (const schedule of never) t.throws(() => { checkTransmitSchedule(schedule, NOW) }, { code: 'SCHEDULE_NEVER_OPENS' }, JSON.stringify(schedule))
  const opens: TransmitSchedule[] = [
    { startAtUtc: '2026-01-31T12:00:01Z' }, { everyMs: 1000 }, { queuedChanges: 1 }, { oldestMs: 1000 }, { window: { from: '08:00', to: '08:01' } }, { startAtUtc: '2020-01-01T00:00:00Z', everyMs: 1000 },
  ]
  for (const schedule of opens) t.doesNotThrow(() => { checkTransmitSchedule(schedule, NOW) }, JSON.stringify(schedule))
  t.throws(() => { checkBandwidthSchedule([{ from: '01:00', to: '01:00' }]) }, { code: 'SCHEDULE_NEVER_OPENS' })
})

t.test('times, zones, periods and limits that are none are refused', async t => {
  for (const wrong of [{ window: { from: '24:00', to: '01:00' } }, { window: { from: '1:00', to: '02:00' } }, { window: { from: '01:00', to: '02:00', timeZone: 'Mars/Olympus' } }, { startAtUtc: 'tomorrow' }, { everyMs: 1 }, { queuedChanges: 0 }, { byteLimit: -1 }, { extra: 1 }]) {
    t.equal(TransmitSchedule.safeParse(wrong).success, false, JSON.stringify(wrong))
  }
})

t.test('a window obeys summer time where there is one', async t => {
  const window = { from: '09:00', to: '10:00', timeZone: 'Europe/Berlin' }
  t.equal(isOpen(window, Date.UTC(2026, 0, 31, 8, 30)), true)
  t.equal(isOpen(window, Date.UTC(2026, 6, 31, 8, 30)), false)
  t.equal(isOpen(window, Date.UTC(2026, 6, 31, 7, 30)), true)
})

t.test('a bandwidth is a whole number from 3500 on, or unlimited', async t => {
  t.equal(parseBandwidth('3500', '--bandwidth'), 3500)
  t.equal(parseBandwidth('unlimited', '--bandwidth'), undefined)
  for (const wrong of ['3499', '0', '-5000', '1e6', '4000.5', '', 'fast', '10000000000000']) t.throws(() => parseBandwidth(wrong, '--bandwidth'), { code: 'REQUEST_INVALID' }, wrong)
})
