/** A job whose source has a volume group, on in-memory versions of everything around it. */
import t from 'tap'
import type { Job } from '../../src/domain/job.ts'
import type { GroupIdentity } from '../../src/storage/lvm-metadata.ts'
import { partitionDevice } from '../../src/storage/volume-stack.ts'
import { readSource } from '../unit/replica/source-text.ts'
import { World } from './world.ts'

const TEXT = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk vda 20G dos\npart 1 1M 1G 83 boot\npart 2 1025M 15G 8e\nvg my-vg vda2\nlv my-vg/root 10G\nlv my-vg/swap 1G\nfs /boot vda1 ext4:2016\nfs / my-vg/root ext4:2016\nswap my-vg/swap\n'

function world(): World {
  return new World(readSource('shop', TEXT).workload)
}

/** As what the physical volume of the job's replica is known. */
async function identity({ volumes }: World, job: Job | undefined): Promise<GroupIdentity | undefined> {
  const disk = await volumes.deviceOf(job?.built?.disks[0]?.uuid ?? '', AbortSignal.timeout(1000))
  return volumes.identityOf(partitionDevice(disk, 2))
}

t.test('its group has temporary identifiers while it is copied, and the source\'s when the replica is handed over', async t => {
  await using w = world()
  const engine = await w.start()
  const job = await w.protect()
  t.same(job.validation.filter(f => f.severity === 'error'), [])
  t.same(job.plan?.volumes.map(v => [v.volume.name, v.logicalVolume?.name]).slice(0, 2), [['/', 'root'], ['/boot', undefined]])
  t.equal(await identity(w, job), 'temporary')
  await engine.act(job.id, 'cutover')
  const done = await w.until('completed', 'failed')
  t.equal(done?.state, 'completed')
  t.equal(await identity(w, done), 'final')
  t.strictSame(w.violations, [])
})

t.test('a cutover that is undone after the group was handed over gives it its temporary identifiers again', async t => {
  await using w = world()
  w.fail('hypervisor.createVm', 'VSPHERE_FAULT')
  const engine = await w.start()
  const { id } = await w.protect()
  await engine.act(id, 'cutover')
  await w.until('provisioning', 'mirroring')
  const again = await w.replicating()
  t.equal(again?.state, 'protecting')
  t.equal(await identity(w, again), 'temporary')
  await engine.act(id, 'cutover')
  t.equal((await w.until('completed', 'failed'))?.state, 'completed')
})
