import { mkdirSync, chmodSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { startReplication } from '../../lab/transfer.ts'
import { differences } from '../../oracle.ts'
import { prepareWorkloads, runWorkloads, WORKLOADS } from '../../workloads/workloads.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { SEED } from '../../seed.ts'

const SECONDS = Number(process.env['EQUALITY_SECONDS'] ?? 7)
/** names of workloads, to look at some alone */
const ONLY = process.env['WORKLOADS']?.split(',')
const WANTED = WORKLOADS.filter(({ name }) => ONLY?.includes(name) ?? true)

t.setTimeout(500_000)

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  void t.test(`on ${type} a drained replica is equal after ${WANTED.map(({ name }) => name).join(', ')} (SEED=${String(SEED)})`, { skip: MOUNT_SKIP }, async t => {
    const signal = AbortSignal.timeout(480_000)
    using source = mountLoop(type, 2048)
    using target = mountLoop(type, 2048)
    // databases run as a user of their own
    chmodSync(dirname(source.path), 0o711)
    const replica = join(target.path, 'replica')
    mkdirSync(replica)
    await prepareWorkloads(WANTED, source.path)
    await using replication = await startReplication({ source: source.path, target: replica, request: { compare: 'none', orphans: 'keep' } }, signal)
    t.same(replication.mirrored.findings, [])
    await runWorkloads(WANTED, source.path, SECONDS, SEED, signal)
    const drained = await replication.drain(false)
    t.same(await differences(source.path, replica), [])
    t.same(drained.findings, [])
    t.ok(drained.changes > 0)
    t.comment({ changes: drained.changes, latencyMsP99: drained.latencyMsP99, drainMs: drained.drainMs })
  })
}
