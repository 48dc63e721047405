import t from 'tap'
import { chosenTier } from '../../../src/capture/choose-capture.ts'
import { Workload } from '../../../src/domain/workload.ts'

const QUEUE = { folder: '/q', minimumFreeBytes: 0 }
const without = (reason: string) => (): Workload['capture'] => ({ tier: 'none', reason, unseen: [] })

void t.test('a queue on disk that directories which are watched cannot use is told with the tier, also when the kernel says much', async t => {
  const path = t.testdir()
  t.match(chosenTier('auto', [path], without('no rights'), QUEUE), { tier: 'C', reason: /^the folder of the queue is not used: .*; no rights$/ })
  t.equal(chosenTier('auto', [path], without('no rights')).reason, 'no rights')
  const long = chosenTier('auto', [path], without('x'.repeat(5000)), QUEUE)
  t.match(long.reason, /^the folder of the queue is not used/)
  t.ok(Workload.shape.capture.safeParse(long).success)
})

void t.test('where file systems are watched it is used, and nothing is told', async t => {
  t.same(chosenTier('auto', [t.testdir()], () => ({ tier: 'A', reason: '', unseen: [] }), QUEUE), { tier: 'A', reason: '', unseen: [] })
})
