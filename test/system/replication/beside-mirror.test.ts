import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFanotifyChangeSource } from '../../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import { mirrorBesideReplication } from '../../../src/source/mirror-beside-replication.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import type { MirrorRequest } from '../../../src/wire/messages.ts'
import { treeReplicator } from '../../tree-replicator.ts'
import { TreeStream } from '../../tree-stream.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { churn } from './churn.ts'
import { drainedFrozen } from './drained-frozen.ts'
import { SEED } from '../../seed.ts'

const ROUNDS = Number(process.env['CHURN_ROUNDS'] ?? 1)
const OPERATIONS = Number(process.env['CHURN_OPERATIONS'] ?? 1000)
/** directories of the same few files, so that the mirror takes as long as the churn */
const DIRECTORIES = 300
const signal = AbortSignal.timeout(300_000)

/** A line on which each batch takes its time, and more until replication has brought something: a mirror takes some of its cycles on any machine. */
class SlowStream extends TreeStream {
  readonly #hasBrought: () => boolean

  constructor(targets: ConstructorParameters<typeof TreeStream>[0], hasBrought: () => boolean) {
    super(targets)
    this.#hasBrought = hasBrought
  }

  override async send(...given: Parameters<TreeStream['send']>): Promise<number> {
    const sequence = await super.send(...given)
    await systemClock.sleep(this.#hasBrought() ? 8 : 25, given[2])
    return sequence
  }
}

function bulk(root: string): void {
  for (let i = 0; i < DIRECTORIES; i++) {
    const directory = join(root, `bulk-${String(i % 20)}`, String(i))
    mkdirSync(directory, { recursive: true })
    for (let file = 0; file < 5; file++) writeFileSync(join(directory, `f${String(file)}`), Buffer.alloc(10 * i, file + 1))
  }
}

for (const [type, compare] of [['ext4', 'none'], ['ext4', 'data'], ['xfs', 'attributes']] as const) {
  for (let round = 0; round < ROUNDS; round++) {
    const seed = SEED + round
    void t.test(`a ${type} replica mirrored (compare ${compare}) and replicated at the same time, then frozen and drained, equals its source under random changes (seed ${String(seed)})`, { skip: MOUNT_SKIP }, async t => {
      using source = mountLoop(type, 800)
      using target = mountLoop(type, 800)
      const root = join(target.path, 'replica')
      mkdirSync(root)
      bulk(source.path)
      await using before = churn(source.path, seed, Math.floor(OPERATIONS / 3), 0)
      await before.done
      await using from = await openPosixSourceTree(source.path, signal)
      await using to = await openPosixTargetTree(root, signal)
      const findings: string[] = []
      let besides = 0
      const mirror = async (changes: Parameters<typeof mirrorBesideReplication>[0]['changes'], request: MirrorRequest): Promise<void> => {
        await mirrorBesideReplication({
          volumes: new Map([[3, from]]), stream: new SlowStream(new Map([[3, to]]), () => besides > 0), request, clock: systemClock, changes, ratio: () => ({ mirror: 1, replication: 1 }), keepsDeleted: () => false,
          report: (_, found) => findings.push(...found.map(({ code, subject, message }) => `${code} ${subject} ${message}`)),
          reportReplication: ({ changesApplied }, found) => {
            besides = changesApplied
            findings.push(...found.map(({ code, subject, message }) => `${code} ${subject} ${message}`))
          },
        }, signal)
      }
      if (compare !== 'none') {
        // an earlier mirror, and what changed since then unseen
        await using unseen = await openFanotifyChangeSource({ volumes: new Map([[3, source.path]]), clock: systemClock }, signal)
        await mirror(unseen, { compare: 'none', orphans: 'delete' })
        await using changed = churn(source.path, seed + 500_000, Math.floor(OPERATIONS / 3), 0)
        await changed.done
      }
      await using changes = await openFanotifyChangeSource({ volumes: new Map([[3, source.path]]), clock: systemClock }, signal)
      await using mapped = churn(source.path, seed + 1_000_000, 200, 0)
      await mapped.done
      await using churned = churn(source.path, seed + 2_000_000, OPERATIONS, 800)
      besides = 0
      await mirror(changes, { compare, orphans: 'delete' })
      await churned.done
      t.ok(besides > 0, `replication brought ${String(besides)} changes over beside the mirror`)
      const last = treeReplicator(from, changes, new TreeStream(new Map([[3, to]])), 3)
      await drainedFrozen(t, last.replicator, { source: source.path, replica: root, seed: seed + 3_000_000 }, signal)
      t.same([...findings, ...last.findings].filter(line => !line.startsWith('FILE_VANISHED')), [])
    })
  }
}
