import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ChangeSource } from '../../../src/capture/change-source.ts'
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import { openInotifyChangeSource } from '../../../src/capture/inotify-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { treeReplicator } from '../../tree-replicator.ts'
import { TreeStream } from '../../tree-stream.ts'
import { copyTree } from '../../zoo/copy.ts'
import { MOUNT_SKIP, mountLoop, mountSubvolume } from '../../zoo/loop-file-system.ts'
import { churn } from './churn.ts'
import { drainedFrozen } from './drained-frozen.ts'
import { looksSlowly, tellsSlowly } from './slowly.ts'
import { SEED } from '../../seed.ts'

const ROUNDS = Number(process.env['CHURN_ROUNDS'] ?? 1)
const OPERATIONS = Number(process.env['CHURN_OPERATIONS'] ?? 1500)
const signal = AbortSignal.timeout(300_000)

function withoutScans(changes: ChangeSource): ChangeSource {
  changes.changedSince = async function* nothing() { yield* [] }
  return changes
}

const ONLY = process.env['CHURN_CAPTURE']
const marksAlone: typeof openFanotifyChangeSource = async (options, inner) => withoutScans(await openFanotifyChangeSource(options, inner))

const CAPTURES = {
  fanotify: openFanotifyChangeSource, inotify: openInotifyChangeSource,
  'fanotify before 5.17': (options, inner) => openFanotifyChangeSource({ ...options, lesser: { before517: true } }, inner),
  // whoever lost a mark does not find it again by change time
  'marks alone': marksAlone,
  // what moves between two looks is met more often
  'marks alone with slow looks': marksAlone,
  // so little that all is compared again and again
  'fanotify within 400 KB': (options, inner) => openFanotifyChangeSource({ ...options, limitBytes: 400_000 }, inner),
  'fanotify within 100 KB': (options, inner) => openFanotifyChangeSource({ ...options, limitBytes: 100_000 }, inner),
  'inotify within 400 KB': (options, inner) => openInotifyChangeSource({ ...options, limitBytes: 400_000 }, inner),
  'inotify with three watches': (options, inner) => openInotifyChangeSource({ ...options, maxWatches: 3, rescanMs: 500 }, inner),
} satisfies Record<string, typeof openFanotifyChangeSource>

for (const [type, capture] of [
  ['ext4', 'fanotify'], ['xfs', 'fanotify'], ['btrfs', 'fanotify'], ['btrfs subvolume', 'fanotify'], ['ext4', 'fanotify before 5.17'], ['ext4', 'marks alone'], ['xfs', 'marks alone'], ['btrfs', 'marks alone'], ['ext4', 'marks alone with slow looks'], ['ext4', 'inotify'], ['btrfs subvolume', 'inotify'], ['ext4', 'inotify with three watches'],
  // for trying, not for every run: on a busy machine they take some minutes, and some seeds end equal but with findings that are over (616809, with stress-ng --cpu 4 beside it)
  ...ONLY?.includes('fanotify within 400 KB') === true ? [['ext4', 'fanotify within 400 KB']] as const : [],
  ...ONLY?.includes('fanotify within 100 KB') === true ? [['xfs', 'fanotify within 100 KB']] as const : [],
  ...ONLY?.includes('inotify within 400 KB') === true ? [['xfs', 'inotify within 400 KB']] as const : [],
] as const) {
  const seen = capture.startsWith('marks alone')
  const slow = capture === 'marks alone with slow looks'
  if (ONLY?.split(',').includes(capture) === false) continue
  for (let round = 0; round < ROUNDS; round++) {
    const seed = SEED + round
    void t.test(`a frozen and drained ${type} replica equals its source after random changes seen by ${capture} (seed ${String(seed)})`, { skip: MOUNT_SKIP }, async t => {
      using source = type === 'btrfs subvolume' ? mountSubvolume('subvol=@') : mountLoop(type, 800)
      using target = mountLoop(type === 'btrfs subvolume' ? 'btrfs' : type, 800)
      const root = join(target.path, 'replica')
      mkdirSync(root)
      await using before = churn(source.path, seed, Math.floor(OPERATIONS / 3), 0, { seen })
      await before.done
      await using changes = await CAPTURES[capture]({ volumes: new Map([[3, source.path]]), clock: systemClock }, signal)
      await using from = await openPosixSourceTree(source.path, signal)
      await using to = await openPosixTargetTree(root, signal)
      await using mapped = churn(source.path, seed + 1_000_000, 200, 0, { seen })
      await mapped.done
      await copyTree(from, to, signal)
      const { replicator, findings, begin } = treeReplicator(slow ? looksSlowly(from) : from, slow ? tellsSlowly(changes) : changes, new TreeStream(new Map([[3, to]])), 3)
      const end = begin()
      await using churned = churn(source.path, seed + 2_000_000, OPERATIONS, 800, { seen })
      await churned.done
      await end()
      const drained = await drainedFrozen(t, replicator, { source: source.path, replica: root, seed: seed + 3_000_000, seen }, signal)
      // in a directory that is not watched a name may stand for something of another type by the time that its attributes arrive: the replica
      // refuses what that cannot have, says so, and is equal after the next comparison
      t.same(findings.filter(line => capture !== 'inotify with three watches' || !line.startsWith('ATTRIBUTE_REFUSED')), [])
      t.comment({ drainMs: drained.drainMs, progress: drained.progress })
    })
  }
}
