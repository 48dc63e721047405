import t from 'tap'
import { bar, MirrorMeter } from '../../../src/cli/mirror-meter.ts'
import { NO_MIRROR_PROGRESS, type MirrorProgress } from '../../../src/domain/progress.ts'

const MIB = 2 ** 20
const at = (changes: Partial<MirrorProgress>): MirrorProgress => ({ ...NO_MIRROR_PROGRESS, ...changes })

t.test('the share is what is done of what is found, equal files included', t => {
  const figures = new MirrorMeter().update(at({ bytesFound: 100 * MIB, bytesDone: 30 * MIB, bytesSkipped: 20 * MIB, walked: true }), 0)
  t.match(figures, { share: 0.5, doneBytes: 50 * MIB, foundBytes: 100 * MIB })
  t.end()
})

t.test('many empty files show progress too', t => {
  const figures = new MirrorMeter().update(at({ filesFound: 1000, filesDone: 250, walked: true }), 0)
  t.equal(figures.share, 0.25)
  t.end()
})

t.test('there is no remaining time when all is flushed', t => {
  const done = at({ bytesFound: 10, bytesDone: 10, filesFound: 1, filesDone: 1, walked: true })
  t.ok(new MirrorMeter().update(done, 0).share < 1)
  t.match(new MirrorMeter().update({ ...done, complete: true }, 0), { share: 1, remainingMs: 0 })
  t.end()
})

t.test('rate and remaining time are moving averages of ten seconds', t => {
  const meter = new MirrorMeter()
  const step = (seconds: number, done: number): ReturnType<MirrorMeter['update']> => meter.update(at({ bytesFound: 1000 * MIB, bytesDone: done * MIB, walked: true }), seconds * 1000)
  t.equal(step(0, 0).bytesPerSecond, undefined)
  for (let s = 1; s <= 20; s++) step(s, s * 10)
  const steady = step(21, 210)
  t.equal(steady.bytesPerSecond, 10 * MIB)
  t.equal(steady.remainingMs, 79_000)
  for (let s = 22; s <= 40; s++) step(s, 210 + (s - 21) * 20)
  t.equal(step(41, 210 + 400).bytesPerSecond, 20 * MIB, 'what was ten seconds ago no longer counts')
  for (let s = 42; s <= 60; s++) step(s, 610)
  t.match(step(61, 610), { bytesPerSecond: 0, remainingMs: undefined }, 'a mirror that stands still has no remaining time')
  t.end()
})

t.test('while files are found there is no remaining time', t => {
  const meter = new MirrorMeter()
  meter.update(at({ bytesFound: 10 * MIB }), 0)
  t.equal(meter.update(at({ bytesFound: 100 * MIB, bytesDone: 10 * MIB }), 5000).remainingMs, undefined)
  t.end()
})

t.test('a new mirror starts from its beginning', t => {
  const meter = new MirrorMeter()
  meter.update(at({ bytesFound: 100, bytesDone: 90, walked: true }), 0)
  t.equal(meter.update(at({ bytesFound: 100, bytesDone: 0 }), 1000).share, 0)
  t.end()
})

t.test('the bar is full only at the end', t => {
  t.equal(bar(0.5, 10), '[#####     ]')
  t.equal(bar(0, 4), '[    ]')
  t.equal(bar(1.5, 4), '[####]')
  t.end()
})
