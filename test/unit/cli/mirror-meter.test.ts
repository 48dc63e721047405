import fc from 'fast-check'
import t from 'tap'
import { bar, MirrorMeter, percent } from '../../../src/cli/mirror-meter.ts'
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

t.test('a large file shows progress before it is done', t => {
  const figures = new MirrorMeter().update(at({ filesFound: 1, bytesFound: 1000 * MIB, bytesSent: 500 * MIB, walked: true }), 0)
  t.ok(Math.abs(figures.share - 0.5) < 0.001)
  t.equal(figures.doneBytes, 500 * MIB)
  t.end()
})

t.test('it is complete only when the walk has ended and all is done', t => {
  t.ok(new MirrorMeter().update(at({ bytesFound: 10, bytesDone: 10, filesFound: 1, filesDone: 1 }), 0).share < 1)
  t.ok(new MirrorMeter().update(at({ bytesFound: 10, bytesSent: 500, filesFound: 1, walked: true }), 0).share < 1)
  t.match(new MirrorMeter().update(at({ bytesFound: 10, bytesDone: 10, filesFound: 1, filesDone: 1, walked: true }), 0), { share: 1, remainingMs: 0 })
  t.equal(new MirrorMeter().update(at({}), 0).share, 0)
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

t.test('the share never goes back by more than what was newly found', t => {
  const step = fc.record({ found: fc.nat(1000), files: fc.nat(5), done: fc.double({ min: 0, max: 1, noNaN: true }), overhead: fc.nat(300), afterMs: fc.integer({ min: 1, max: 5000 }) })
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), steps => {
    const meter = new MirrorMeter()
    const p = at({})
    let nowMs = 0
    let before = 0
    let totalBefore = 0
    for (const s of steps) {
      nowMs += s.afterMs
      const files = Math.floor((p.filesFound + s.files - p.filesDone) * s.done)
      p.filesFound += s.files
      p.bytesFound += s.found
      p.filesDone += files
      const bytes = Math.floor((p.bytesFound - p.bytesDone) * s.done)
      p.bytesDone += bytes
      p.bytesSent += bytes + s.overhead
      const total = p.bytesFound + 4096 * p.filesFound
      const { share } = meter.update(p, nowMs)
      if (share < 0 || share > 1) return false
      if (total > 0 && share < before * totalBefore / total - 1e-9) return false
      before = share
      totalBefore = total
    }
    return true
  }))
  t.end()
})

t.test('bar and percent are full only at the end', t => {
  t.equal(bar(0.5, 10), '[#####     ]')
  t.equal(bar(0, 4), '[    ]')
  t.equal(bar(1.5, 4), '[####]')
  t.same([0, 0.4567, 0.9999, 1].map(percent), ['0.0 %', '45.6 %', '99.9 %', '100.0 %'])
  t.end()
})
