import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import type { TestDisks } from '../../../src/domain/test-cutover.ts'
import type { JobView } from '../../../src/domain/job.ts'
import { createLab, type Lab } from '../../lab/lab.ts'
import { JOB, keptScreen, migrate, VM } from '../../lab/migrate.ts'
import { SOURCE } from '../../lab/image/image.ts'
import { SERVICES } from '../../lab/quiesce.ts'
import { tool } from '../../lab/tool.ts'
import { onReplica, until, untilProtecting } from './on-replica.ts'

const LIMIT_MS = 1_000_000
const EINVAL = 1

/** The source does not come to rest: the cutover ends with this, before anything is frozen, and all goes on as before it. */
async function cutOverInVain(t: Test, lab: Lab, view: () => Promise<JobView>, code: ErrorCode, message: RegExp, signal: AbortSignal): Promise<void> {
  const before = await view()
  const failed = await lab.cli.run(['job', 'cutover', JOB, '--wait'], { signal })
  t.not(failed.exitCode, 0)
  t.match(failed.stderr, new RegExp(code))
  const job = await untilProtecting(view, signal)
  t.match(job.lastError, { code, message })
  t.same(job.mirror, before.mirror, 'no new mirror was made')
  t.equal(job.captureEpoch, before.captureEpoch)
  for (const { mountPoint } of lab.source.volumes) t.equal((await tool('fsfreeze', ['--unfreeze', join(lab.source.root, mountPoint)], { allowedExitCodes: [EINVAL] })).exitCode, EINVAL, `${mountPoint} was not frozen any more`)
  t.same(await lab.quiesce.running(), [...SERVICES], 'the services run')
  const name = `/data/after-${code}-${String(job.phases.length)}`
  await writeFile(join(lab.source.root, name), '')
  await until('replication to go on', signal, async () => existsSync(onReplica(lab, job, name)) ? true : undefined)
}

async function comeToRestInVain(t: Test, lab: Lab, view: () => Promise<JobView>, signal: AbortSignal): Promise<void> {
  await lab.quiesce.disturbScript('echo the standby is behind; exit 3')
  await cutOverInVain(t, lab, view, 'PRE_SCRIPT_FAILED', /exited 3: the standby is behind/, signal)
  await lab.quiesce.disturbScript('echo waiting for the lock; exec sleep 600')
  await cutOverInVain(t, lab, view, 'PRE_SCRIPT_FAILED', /did not end within \d+ ms: waiting for the lock/, signal)
  t.same(await lab.quiesce.journal(), [], 'nothing was stopped')
  await lab.quiesce.disturbScript('')
  await lab.quiesce.refuse('shop-db', true)
  await cutOverInVain(t, lab, view, 'SERVICE_STOP_FAILED', /shop-db refuses to stop/, signal)
  t.same(await lab.quiesce.journal(), ['stopped shop', 'started shop-db', 'started shop'], 'the one that refused, too')
  await lab.quiesce.refuse('shop-db', false)
}

/**
 * A copy of the replica, or its child, boots on the isolated network while the source is written to, and is taken away without a trace. Changes reach the replica
 * meanwhile: beside a child its stand-ins, which go with it, so that they come again by a mirror.
 */
async function cutOverForATest(t: Test, lab: Lab, kind: TestDisks, view: () => Promise<JobView>, signal: AbortSignal): Promise<void> {
  const before = await view()
  const tested = await lab.cli.run(['job', 'test-cutover', JOB, '--network', lab.isolatedNetwork, '--disks', kind, '--wait'], { signal, timeoutMs: LIMIT_MS })
  t.equal(tested.exitCode, 0, tested.stderr)
  const { testCutover, ...job } = await view()
  t.match(testCutover, { state: 'proved', kind, network: lab.isolatedNetwork, proof: { hostName: SOURCE.hostName } })
  t.notOk((await keptScreen(lab, ['--test'], signal)).isEmpty, 'a screenshot of it was kept')
  t.equal(job.screenshot, undefined)
  const name = `/data/while-a-test-runs-from-${kind}`
  await writeFile(join(lab.source.root, name), '')
  const arrived = async (): Promise<void> => { await until(`${name} on the replica`, signal, async () => existsSync(onReplica(lab, job, name)) ? true : undefined) }
  await arrived()
  if (kind === 'children') t.notOk((job.built?.disks ?? []).some(disk => lab.follower.vms.some(vm => vm.disks.some(({ fileName }) => fileName === disk.path))), 'nobody has the parents')
  t.ok(lab.follower.machine(`${VM}-test`)?.isRunning(), 'both at the same time')
  const thrownAway = [...testCutover?.disks ?? [], ...testCutover?.standIns ?? []].map(disk => lab.vcsim.fileOf(disk.path))
  t.equal(thrownAway.length, (job.built?.disks.length ?? 0) * (kind === 'copies' ? 1 : 2))
  t.ok(thrownAway.every(existsSync))
  const undone = await lab.cli.run(['job', 'test-cutover', JOB, '--undo', '--wait'], { signal, timeoutMs: LIMIT_MS })
  t.equal(undone.exitCode, 0, undone.stderr)
  t.notOk(thrownAway.some(file => existsSync(dirname(file))), 'the disks and their folder are gone')
  t.notOk(lab.follower.vms.some(vm => vm.name === `${VM}-test`), 'and the VM')
  const mirrorings = ({ phases }: JobView): number => phases.filter(({ phase, endedAtUtc }) => phase === 'mirroring' && endedAtUtc !== undefined).length
  if (kind === 'children') await until('a new mirror to be complete', signal, async () => mirrorings(await view()) > mirrorings(before) ? true : undefined)
  await arrived()
  const after = await view()
  if (kind === 'copies') t.same(after.mirror, before.mirror, 'no new mirror was made')
  t.equal(after.state, 'protecting')
}

t.test('a live server that is written to does not come to rest three times, a copy and a child of it boot for a test, it is migrated, boots as itself, and is equal in every byte and attribute', async (t) => {
  const signal = AbortSignal.timeout(LIMIT_MS)
  await using lab = await createLab({ say: t.comment.bind(t), seed: 7 }, signal)
  const result = await migrate(lab, {
    spoil: false, onStep: t.comment.bind(t),
    whileProtecting: async (view) => {
      await comeToRestInVain(t, lab, view, signal)
      await cutOverForATest(t, lab, 'children', view, signal)
      await cutOverForATest(t, lab, 'copies', view, signal)
    },
  }, signal)
  t.ok(result.quiesced.ok, `its script and services came to rest in order, and the replica has what they wrote: ${JSON.stringify(result.quiesced)}`)
  t.equal(result.hostName, 'src-db01')
  t.ok(result.proofs.duringMirror > 0, 'files were written during the mirror')
  t.equal(result.proofs.right, result.proofs.duringMirror, 'and the replica has each of them')
  t.ok(result.booted)
  t.strictSame(result.comparison.differences, [])
  t.strictSame(result.violations, [])
  t.ok(result.equal)
  t.ok(result.comparison.entries > 8000, 'the comparison saw the whole system')
  t.ok(result.comparison.fixups.some(f => f.path.includes('initrd.img')), 'the initramfs was made for the new hardware')
  t.ok(result.downtimeMs > 0)
})
