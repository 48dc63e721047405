/** Events and ranges that the kernel could not keep, really lost: a comparison makes them good. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Change } from '../../../src/capture/change-source.ts'
import { openFanotifyChangeSource, probeFanotify } from '../../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import type { DegradationKind } from '../../../src/domain/degradation.ts'
import type { LesserKernel } from '../../../src/posix/capture.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { differences } from '../../oracle.ts'
import { treeReplicator } from '../../tree-replicator.ts'
import { TreeStream } from '../../tree-stream.ts'
import { copyTree } from '../../zoo/copy.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

const signal = AbortSignal.timeout(240_000)
const ROUNDS = 50
const QUEUE_LIMIT = '/proc/sys/fs/fanotify/max_queued_events'

interface Loss {
  what: string
  why: DegradationKind
  lesser: LesserKernel
  /** while it is opened */
  queueLimit?: string
  before?: (root: string) => void
  /** done in the volume, with the number of the round: more than fits */
  work: string
}

/** Nobody else is given a processor while Python works: not the thread that reads the trace, either. For half a second at most. */
const ALONE = `
import signal, time
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
mine, *others = sorted(os.sched_getaffinity(0))
spinning = []
for other in others:
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {other})
        until = time.monotonic() + 0.5
        while time.monotonic() < until: pass
        os._exit(0)
    spinning.append(pid)
os.sched_setaffinity(0, {mine})
`
const TOGETHER = '\nfor pid in spinning: os.kill(pid, signal.SIGKILL)'

const LOSSES: readonly Loss[] = [
  {
    what: 'a queue of fanotify that ran over', why: 'events-lost', lesser: { boundedQueue: true }, queueLimit: '16',
    work: 'for n in range(1000): os.makedirs(f"{r}/{n}/d")',
  },
  {
    // only the trace tells of these stores
    what: 'a trace of changed ranges that ran over', why: 'trace-lost', lesser: { traceKiB: 8 },
    before: root => { execFileSync('python3', ['-c', 'for n in range(3000): open(f"f{n}", "wb").write(b"x" * 4096)'], { cwd: root }) },
    work: `${ALONE}for n in range(3000): mmap.mmap(os.open(f"f{n}", os.O_RDWR), 0)[int(r) + 7] = 1${TOGETHER}`,
  },
]

for (const { what, why, lesser, queueLimit, before, work } of LOSSES) {
  void t.test(`${what} is a rescan, and the replica is equal after it`, { skip: MOUNT_SKIP, timeout: 200_000 }, async t => {
    const limit = readFileSync(QUEUE_LIMIT, 'utf8')
    t.teardown(() => { writeFileSync(QUEUE_LIMIT, limit) })
    using source = mountLoop('ext4', 400)
    using target = mountLoop('ext4', 400)
    const replica = join(target.path, 'replica')
    mkdirSync(replica)
    before?.(source.path)
    t.same(probeFanotify([source.path]), { untraced: [] })
    if (queueLimit !== undefined) writeFileSync(QUEUE_LIMIT, queueLimit)
    await using changes = await openFanotifyChangeSource({ volumes: new Map([[0, source.path]]), clock: systemClock, lesser }, signal)
    writeFileSync(QUEUE_LIMIT, limit)
    await using from = await openPosixSourceTree(source.path, signal)
    await using to = await openPosixTargetTree(replica, signal)
    await copyTree(from, to, signal)

    // too quick for the thread that reads, mostly: more until it is so
    const taken: Change[] = []
    for (let round = 0; round < ROUNDS && !taken.some(({ kind }) => kind === 'rescan'); round++) {
      execFileSync('python3', ['-c', `import mmap, os, sys\nr = sys.argv[1]\n${work}`, String(round)], { cwd: source.path })
      taken.push(...await changes.take(signal))
      t.comment({ round })
    }
    t.match(taken.find(({ kind }) => kind === 'rescan'), { volume: 0, why: [why] })
    changes.putBack(taken)
    t.ok(changes.status().degraded.some(({ kind }) => kind === why), 'it is shown')
    const { replicator, findings } = treeReplicator(from, changes, new TreeStream(new Map([[0, to]])))
    await replicator.drain({}, signal)
    t.same(await differences(source.path, replica), [])
    t.same(findings, [])
    t.same(replicator.progress().degraded, [], 'and is over')
  })
}
