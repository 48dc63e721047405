import fc from 'fast-check'
import t from 'tap'
import { mirrorShare, NO_MIRROR_PROGRESS, percent, remaining, type MirrorProgress } from '../../../src/domain/progress.ts'
import { propertyRuns } from '../../seed.ts'

const at = (changes: Partial<MirrorProgress>): MirrorProgress => ({ ...NO_MIRROR_PROGRESS, ...changes })

t.test('the share is what is done or skipped of what is found, files counted, too', async t => {
  t.equal(mirrorShare(at({ bytesFound: 100, bytesDone: 30, bytesSkipped: 20 })), 0.5)
  t.equal(mirrorShare(at({ filesFound: 1000, filesDone: 200, filesSkipped: 50 })), 0.25)
  t.equal(mirrorShare(at({})), 0)
})

t.test('it is 1 only when all is done and flushed', async t => {
  const done = at({ bytesFound: 10, bytesDone: 10, filesFound: 1, filesDone: 1, walked: true })
  t.ok(mirrorShare(done) < 1)
  t.equal(mirrorShare({ ...done, complete: true }), 1)
  t.equal(mirrorShare(at({ walked: true, complete: true })), 1, 'of an empty volume')
})

t.test('what remains is what was found and is neither done nor skipped', async t => {
  t.same(remaining(at({ filesFound: 10, filesDone: 3, filesSkipped: 4, bytesFound: 100, bytesDone: 60, bytesSkipped: 5 })), { files: 3, bytes: 35 })
})

t.test('the share never goes back by more than what was newly found', async () => {
  const step = fc.record({ found: fc.nat(1000), files: fc.nat(5), done: fc.double({ min: 0, max: 1, noNaN: true }), skipped: fc.boolean() })
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), steps => {
    const p = at({})
    let before = 0
    for (const s of steps) {
      p.filesFound += s.files
      p.bytesFound += s.found
      const left = remaining(p)
      p[s.skipped ? 'filesSkipped' : 'filesDone'] += Math.floor(left.files * s.done)
      p[s.skipped ? 'bytesSkipped' : 'bytesDone'] += Math.floor(left.bytes * s.done)
      const total = p.bytesFound + 4096 * p.filesFound
      const newlyFound = total === 0 ? 0 : (s.found + 4096 * s.files) / total
      const share = mirrorShare(p)
      if (share < 0 || share >= 1 || share < before - newlyFound - 1e-9) return false
      before = share
    }
    return true
  }), propertyRuns())
})

t.test('a percentage is 100 only for 1', async t => {
  t.same([0, 0.4567, 0.9999, 1].map(percent), ['0.0 %', '45.6 %', '99.9 %', '100.0 %'])
})
