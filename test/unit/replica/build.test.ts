import t from 'tap'
import type { BuiltReplica } from '../../../src/domain/replica.ts'
import type { VirtualDisk } from '../../../src/domain/target.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { MemoryHypervisor } from '../../../src/hypervisor/memory-hypervisor.ts'
import { buildReplica } from '../../../src/replica/build.ts'
import { discardReplica } from '../../../src/replica/discard.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { MemoryVolumeStack } from '../../../src/storage/memory-volume-stack.ts'
import { placedGroups, type MountedVolume } from '../../../src/storage/volume-stack.ts'
import { readSource } from './source-text.ts'
import { debian12, options, places } from './workloads.ts'

const JOB = 'job1'
const plan = planReplica({ jobId: JOB, workload: debian12(), options: options({ datastore: 'datastore1' }), places: places() })
const signal = (): AbortSignal => AbortSignal.timeout(10_000)
const passphrase = async (): Promise<string> => Promise.reject(new AppError('PASSPHRASE_MISSING', 'nothing is encrypted'))

/** A VMware server whose attached disks appear in the stack; it breaks after so many calls. */
class Site extends MemoryHypervisor {
  readonly volumes = new MemoryVolumeStack()
  breakAfter = Number.POSITIVE_INFINITY
  readonly deleted: string[] = []

  override async createDisk(...args: Parameters<MemoryHypervisor['createDisk']>): Promise<VirtualDisk> {
    this.#count()
    return super.createDisk(...args)
  }

  override async attachDisk(...args: Parameters<MemoryHypervisor['attachDisk']>): Promise<VirtualDisk> {
    this.#count()
    const disk = await super.attachDisk(...args)
    this.volumes.attach(disk.uuid)
    return disk
  }

  override async deleteDisk(...args: Parameters<MemoryHypervisor['deleteDisk']>): Promise<void> {
    this.#count()
    await super.deleteDisk(...args)
    this.deleted.push(args[0].path)
  }

  #count(): void {
    if (--this.breakAfter < 0) throw new AppError('VSPHERE_UNREACHABLE', 'the line is cut')
  }
}

t.test('all disks are made, and what is kept is what exists', async t => {
  await using site = new Site()
  const kept: BuiltReplica[] = []
  const mounted = await buildReplica({ jobId: JOB, plan, built: { disks: [] }, hypervisor: site, volumes: site.volumes, passphrase }, async b => { kept.push(structuredClone(b)) }, signal())
  t.same(mounted.map(m => m.volume.volume.mountPoint), ['/', '/boot', '/srv/data'])
  t.same(kept.map(k => k.disks.map(d => [d.path, d.uuid !== ''])), [
    [['[datastore1] landfall-job1/disk0.vmdk', false]], [['[datastore1] landfall-job1/disk0.vmdk', true]],
    [['[datastore1] landfall-job1/disk0.vmdk', true], ['[datastore1] landfall-job1/disk1.vmdk', false]],
    [['[datastore1] landfall-job1/disk0.vmdk', true], ['[datastore1] landfall-job1/disk1.vmdk', true]],
  ])
  await site.volumes[Symbol.asyncDispose]()
})

t.test('wherever it breaks, another try goes on and ends in the same replica', async t => {
  for (let calls = 0; calls < 5; calls++) {
    await using site = new Site()
    let built: BuiltReplica = { disks: [] }
    const build = async () => buildReplica({ jobId: JOB, plan, built, hypervisor: site, volumes: site.volumes, passphrase }, async b => { built = structuredClone(b) }, signal())
    site.breakAfter = calls
    if (calls < 4) await t.rejects(build(), { code: 'VSPHERE_UNREACHABLE' })
    site.breakAfter = Number.POSITIVE_INFINITY
    t.equal((await build()).length, 3)
    t.equal((await build()).length, 3, 'and again')
    t.equal(built.disks.length, 2)
    await discardReplica({ jobId: JOB, built, hypervisor: site, volumes: site.volumes, keepDisks: false }, async b => { built = b }, signal())
    t.same(built, { disks: [] })
    t.same(site.deleted, plan.disks.map(d => d.path))
    await site.volumes[Symbol.asyncDispose]()
  }
})

t.test('disks that are kept are detached, whole, and still there', async t => {
  await using site = new Site()
  let built: BuiltReplica = { disks: [] }
  const keep = async (b: BuiltReplica): Promise<void> => { built = structuredClone(b) }
  await buildReplica({ jobId: JOB, plan, built, hypervisor: site, volumes: site.volumes, passphrase }, keep, signal())
  await discardReplica({ jobId: JOB, built, hypervisor: site, volumes: site.volumes, keepDisks: true }, keep, signal())
  t.equal(built.disks.length, 2)
  t.same(site.deleted, [])
  const [disk] = built.disks
  if (disk !== undefined) await site.deleteDisk(disk, signal()) // it would be refused while it is attached
  t.equal(site.deleted.length, 1)
  await site.volumes[Symbol.asyncDispose]()
})

t.test('a discard that breaks goes on at the next try', async t => {
  await using site = new Site()
  let built: BuiltReplica = { disks: [] }
  const keep = async (b: BuiltReplica): Promise<void> => { built = structuredClone(b) }
  await buildReplica({ jobId: JOB, plan, built, hypervisor: site, volumes: site.volumes, passphrase }, keep, signal())
  const discard = async (): Promise<void> => discardReplica({ jobId: JOB, built, hypervisor: site, volumes: site.volumes, keepDisks: false }, keep, signal())
  site.breakAfter = 1
  await t.rejects(discard(), { code: 'VSPHERE_UNREACHABLE' })
  t.equal(built.disks.length, 1, 'one is gone')
  site.breakAfter = Number.POSITIVE_INFINITY
  await discard()
  t.same(site.deleted, plan.disks.map(d => d.path))
  await site.volumes[Symbol.asyncDispose]()
})

t.test('a job whose disks are of another plan is refused', async t => {
  await using site = new Site()
  const built = { disks: [{ path: '[datastore1] elsewhere/disk0.vmdk', sizeBytes: 1024, uuid: '' }] }
  await t.rejects(buildReplica({ jobId: JOB, plan, built, hypervisor: site, volumes: site.volumes, passphrase }, async () => undefined, signal()), { code: 'VOLUME_LAYOUT' })
})

t.test('a file system with errors stops the keeping of disks', async t => {
  await using site = new Site()
  let built: BuiltReplica = { disks: [] }
  const keep = async (b: BuiltReplica): Promise<void> => { built = structuredClone(b) }
  const [first] = await buildReplica({ jobId: JOB, plan, built, hypervisor: site, volumes: site.volumes, passphrase }, keep, signal())
  site.volumes.damage(first?.device ?? '')
  await t.rejects(discardReplica({ jobId: JOB, built, hypervisor: site, volumes: site.volumes, keepDisks: true }, keep, signal()), { code: 'VOLUME_DAMAGED' })
  await site.volumes[Symbol.asyncDispose]()
})

t.test('what is encrypted anew is opened with the passphrase below groups and on logical volumes, and the group is handed over inside', async t => {
  await using site = new Site()
  const text = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk vda 20G dos\npart 1 1M 1G 83 boot\npart 2 1025M 15G 83\nluks safe vda2 LUKS2\nvg my-vg safe\nlv my-vg/root 10G\nlv my-vg/inner 1G\nluks deep my-vg/inner LUKS1\n'
    + 'fs /boot vda1 ext4:2016\nfs / my-vg/root ext4:2016\nfs /deep deep ext4:2016\noption encryption re-encrypt\n'
  const { workload, layout } = readSource('sealed', text)
  const encrypted = planReplica({ jobId: JOB, workload, options: options({ layout, datastore: 'datastore1' }), places: places() })
  t.match(encrypted.volumes.map(v => [v.volume.name, v.encryption?.headerBytes]), [['/', undefined], ['/boot', undefined], ['/deep', 2 << 20]])
  t.match(encrypted.volumeGroups?.[0]?.physicalVolumes, [{ encryption: { headerBytes: 16 << 20, keyDerivation: 'argon2id' } }])
  let built: BuiltReplica = { disks: [] }
  const build = async (word: string): Promise<readonly MountedVolume[]> => await buildReplica({ jobId: JOB, plan: encrypted, built, hypervisor: site, volumes: site.volumes, passphrase: async () => Promise.resolve(word) }, async b => { built = structuredClone(b) }, signal())
  const mounted = await build('first word')
  t.match(mounted.map(m => m.device), [/2-open-m_job1_my-vg-root$/, /1$/, /2-open-m_job1_my-vg-inner-open$/])
  t.same(await build('first word'), mounted, 'again')
  await t.rejects(build('another one'), { code: 'VOLUME_LAYOUT' })
  const disk = site.volumes.attach(built.disks[0]?.uuid ?? '')
  await site.volumes.release(JOB, [disk], signal(), { handOver: placedGroups(encrypted, [disk]) })
  t.equal(site.volumes.identityOf(`${disk}2-open`), 'final')
})

t.test('without its passphrase nothing is encrypted', async t => {
  await using site = new Site()
  const { workload, layout } = readSource('sealed', 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk vda 20G dos\npart 1 1M 9G 83 boot\npart 2 10241M 8G 83\nluks safe vda2 LUKS2\nfs / vda1 ext4:2016\nfs /safe safe ext4:2016\noption encryption re-encrypt\n')
  const encrypted = planReplica({ jobId: JOB, workload, options: options({ layout, datastore: 'datastore1' }), places: places() })
  await t.rejects(buildReplica({ jobId: JOB, plan: encrypted, built: { disks: [] }, hypervisor: site, volumes: site.volumes, passphrase }, async () => undefined, signal()), { code: 'PASSPHRASE_MISSING' })
})
