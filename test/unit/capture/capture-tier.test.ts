import t from 'tap'
import { tierOf } from '../../../src/capture/capture-tier.ts'
import { Workload } from '../../../src/domain/workload.ts'

void t.test('with the trace of pages it is the best tier, and only flags are not seen', async t => {
  t.same(tierOf({ untraced: [] }), { tier: 'A', reason: '', unseen: ['a store through mmap into a page that a write has just made dirty, when no other follows', 'changes of inode flags (chattr)', 'changes of attributes through a handle, as an NFS server makes them'] })
})

void t.test('without it the tier says why, each reason once, and what else is not seen', async t => {
  const tier = tierOf({ untraced: ['mount tracefs (errno 1)', 'mount tracefs (errno 1)', 'no trace of this type of file system is known'] })
  t.match(tier, { tier: 'B', reason: 'dirty pages cannot be followed: mount tracefs (errno 1); no trace of this type of file system is known' })
  t.match(tier.unseen, [/mmap/, /libaio/, /chattr/])
})

void t.test('what the kernel says fits the record, however long it is', async t => {
  for (const probed of [{ unsupported: 'x'.repeat(5000) }, { untraced: ['y'.repeat(5000)] }]) {
    t.ok(Workload.shape.capture.safeParse(tierOf(probed)).success)
  }
  t.equal(tierOf({ unsupported: 'no rights' }).tier, 'none')
})
