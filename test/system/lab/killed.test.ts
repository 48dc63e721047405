import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { JobView } from '../../../src/domain/job.ts'
import { createLab, type Lab } from '../../lab/lab.ts'
import { JOB, migrate } from '../../lab/migrate.ts'
import { onReplica, until, untilProtecting } from './on-replica.ts'

const LIMIT_MS = 1_100_000

/** Where the appliance keeps what is to be taken back. */
function takenOf(lab: Lab, job: JobView): string {
  return join(lab.run.path, 'appliance/layers', `${job.id}-taken`)
}

/** Replicates again without a mirror since `before`, and what fix-ups would change is as on the source. */
async function checkUndone(t: Test, lab: Lab, before: JobView, view: () => Promise<JobView>, signal: AbortSignal): Promise<void> {
  const job = await untilProtecting(view, signal)
  t.same(job.mirror, before.mirror, 'no new mirror was made')
  t.equal(job.captureEpoch, before.captureEpoch)
  const read = (path: string): [string, string] => [readFileSync(onReplica(lab, job, path), 'utf8'), readFileSync(join(lab.source.root, path), 'utf8')]
  for (const path of ['/etc/fstab', '/boot/grub/grub.cfg', '/etc/initramfs-tools/modules']) t.equal(...read(path), path)
  t.same(readdirSync(onReplica(lab, job, '/boot')).filter(name => name.includes('landfall')), [])
  t.notOk(existsSync(onReplica(lab, job, '/var/log/landfall/boot-fix-ups.log')))
  t.notOk(existsSync(takenOf(lab, job)), 'it was taken back')
}

/** The source's own program fails, first at the cutover; then the appliance is killed while it changes the replica. */
async function cutOverInVain(t: Test, lab: Lab, view: () => Promise<JobView>, signal: AbortSignal): Promise<void> {
  const before = await until('the rehearsal', signal, async () => {
    const now = await view()
    return now.rehearsal?.state === 'passed' ? now : undefined
  })
  const tool = join(lab.source.root, 'usr/sbin/update-initramfs')
  const [good, { atime, mtime }] = [await readFile(tool), await stat(tool)]
  await writeFile(tool, '#!/bin/sh\necho broken since the rehearsal >&2\nexit 9\n')
  const failed = await lab.cli.run(['job', 'cutover', JOB, '--wait'], { signal })
  t.equal(failed.exitCode, 7)
  t.match(failed.stderr, /BOOT_FIXUP_FAILED/)
  await checkUndone(t, lab, before, view, signal)
  await writeFile(tool, good)
  await utimes(tool, atime, mtime)
  await until('the program of the source on the replica', signal, async () => readFileSync(onReplica(lab, before, '/usr/sbin/update-initramfs')).equals(good) ? true : undefined)

  await lab.cli.run(['job', 'cutover', JOB], { signal })
  await until('the change of the replica', signal, async () => await Promise.resolve(existsSync(join(takenOf(lab, before), 'record.json')) ? true : undefined))
  await lab.appliance.kill()
  t.ok(readFileSync(join(takenOf(lab, before), 'record.json'), 'utf8').includes('initrd.img'), 'it was killed while it changed the replica')
  await lab.appliance.start()
  await checkUndone(t, lab, before, view, signal)
}

t.test('agent and appliance are killed in the middle of the mirror, cutovers fail and are killed in the middle, and the replica is equal', async (t) => {
  const signal = AbortSignal.timeout(LIMIT_MS)
  await using lab = await createLab({ say: t.comment.bind(t), seed: 9 }, signal)
  let killedAt = ''
  const result = await migrate(lab, {
    spoil: false, onStep: t.comment.bind(t),
    whileProtecting: async view => { await cutOverInVain(t, lab, view, signal) },
    whileMirroring: async (job) => {
      killedAt = `${job.state} with ${String(job.mirror?.filesDone ?? 0)} files done`
      await lab.agent.kill()
      await lab.agent.start()
      await lab.appliance.kill()
      await lab.appliance.start()
    },
  }, signal)
  t.match(killedAt, /^mirroring with [1-9]/)
  t.ok(result.booted)
  t.ok(result.quiesced.ok)
  t.strictSame(result.comparison.differences, [])
  t.ok(result.equal)
})
