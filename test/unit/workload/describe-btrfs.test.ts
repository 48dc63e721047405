import t from 'tap'
import { neededSubvolumes, unmountedSubvolumes } from '../../../src/workload/describe-btrfs.ts'

t.test('needed are those that are wanted and those they lie in, parents first', async t => {
  t.same(neededSubvolumes(['@/home', '@', '@/var', 'other'], ['@/var', '@/home']), ['@', '@/home', '@/var'])
})

t.test('told are subvolumes that no mount shows, the outer ones only', async t => {
  const told = (known: readonly string[], mounted: readonly string[], chosen = ''): string[] => unmountedSubvolumes(known, mounted, chosen)
  t.same(told(['@', '@home'], ['@', '@home']), [])
  t.same(told(['@', '@home', '@old', '@old/nested'], ['@']), ['@home', '@old'])
  t.same(told(['@', '@/nested'], ['@']), [], 'it comes with the one in which it lies')
  t.same(told(['a', 'b', 'b/c'], ['']), [], 'the top has all')
  t.same(told(['@', '@/home', '@/var'], ['@/home']), ['@/var'], 'what only leads to a mounted one is its place')
  t.same(told(['@', '@home'], ['@', '@home/user']), ['@home'], 'a directory of it is mounted, not itself')
})

t.test('snapshots are told by where they lie, the default subvolume always', async t => {
  const known = ['@', '@/.snapshots', '@/.snapshots/1/snapshot', '@/.snapshots/2/snapshot']
  t.same(unmountedSubvolumes(known, ['@/.snapshots/1/snapshot', '@/.snapshots'], '@/.snapshots/1/snapshot'), [])
  t.same(unmountedSubvolumes(known, ['@/.snapshots/1/snapshot'], '@/.snapshots/1/snapshot'), ['@/.snapshots'])
  t.same(unmountedSubvolumes(known, ['@/.snapshots/1/snapshot', '@/.snapshots'], '@/.snapshots/2/snapshot'), ['@/.snapshots/2/snapshot'], 'the server was set back and not started again')
  t.same(unmountedSubvolumes(['@', '@/.snapshots', '@/.snapshots/1/snapshot'], ['@'], ''), [])
})
