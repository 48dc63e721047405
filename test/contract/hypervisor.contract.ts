import t, { type Test } from 'tap'
import type { ReplicaPlan } from '../../src/domain/replica.ts'
import type { VirtualDisk } from '../../src/domain/target.ts'
import type { Hypervisor } from '../../src/hypervisor/hypervisor.ts'

/** An inventory with the appliance VM 'landfall-appliance', the datastores 'big' (plenty) and 'small' (1 GiB), the networks 'VM Network' and 'Distributed'. */
export interface OpenHypervisor extends AsyncDisposable { readonly hypervisor: Hypervisor }

const MIB = 1 << 20
const GIB = 1 << 30
const soon = (): AbortSignal => AbortSignal.timeout(60_000)

/** A plan for a VM of this name with these adapters; disks come beside it. */
export function planOf(vmName: string, networks: readonly string[], folder: string): ReplicaPlan {
  return {
    version: 1, vmName, folder, datastore: 'big', guestId: 'debian12_64Guest', firmware: 'bios', sockets: 2, coresPerSocket: 2, memoryMiB: 2048, controller: 'pvscsi',
    disks: [], volumes: [], differences: [],
    adapters: networks.map((network, i) => ({ sourceName: `eth${String(i)}`, sourceMac: `52:54:00:00:00:0${String(i)}`, mac: `00:50:56:00:01:0${String(i)}`, network, type: 'vmxnet3', addresses: [] })),
  }
}

/** Runs the whole Hypervisor contract against what `open` returns. Every test uses names of its own, so one inventory may serve all. */
export function hypervisorContract(name: string, open: (t: Test) => Promise<OpenHypervisor>): void {
  t.test(`Hypervisor contract: ${name}`, async t => {
    const test = (title: string, run: (t: Test, hypervisor: Hypervisor) => Promise<void>): void => {
      t.test(title, async t => {
        await using opened = await open(t)
        await run(t, opened.hypervisor)
      })
    }
    const attachedDisks = async (hypervisor: Hypervisor, count: number, folder: string): Promise<VirtualDisk[]> => {
      const disks: VirtualDisk[] = []
      for (let i = 0; i < count; i += 1) disks.push(await hypervisor.attachDisk(await hypervisor.createDisk(`[big] ${folder}/disk${String(i)}.vmdk`, 8 * MIB, 'thin', soon()), soon()))
      return disks
    }

    test('places names the host, its datastores and networks, and the VMs there are', async (t, hypervisor) => {
      const places = await hypervisor.places(soon())
      t.match(places, { applianceVm: 'landfall-appliance', hostConnected: true, maintenance: false })
      t.match(places.datastores.map(d => d.name).sort(), ['big', 'small'])
      t.strictSame(places.networks.map(n => [n.name, n.kind]).sort(), [['Distributed', 'distributed'], ['VM Network', 'standard']])
      t.ok(places.vmNames.includes('landfall-appliance'))
      t.ok(places.datastores.every(d => d.accessible && d.freeBytes <= d.capacityBytes))
    })

    test('creating a disk twice with one size finds the first one', async (t, hypervisor) => {
      const disk = await hypervisor.createDisk('[big] twice/a.vmdk', 8 * MIB, 'flat', soon())
      t.strictSame(disk, { path: '[big] twice/a.vmdk', sizeBytes: 8 * MIB, uuid: '' })
      t.strictSame(await hypervisor.createDisk('[big] twice/a.vmdk', 8 * MIB, 'flat', soon()), disk)
    })

    test('creating a disk over one of another size is VSPHERE_EXISTS', async (t, hypervisor) => {
      await hypervisor.createDisk('[big] other/a.vmdk', 8 * MIB, 'thin', soon())
      await t.rejects(hypervisor.createDisk('[big] other/a.vmdk', 16 * MIB, 'thin', soon()), { code: 'VSPHERE_EXISTS' })
    })

    test('a size that is not whole KiB is rounded up', async (t, hypervisor) => {
      t.equal((await hypervisor.createDisk('[big] odd/a.vmdk', 8 * MIB + 1, 'thin', soon())).sizeBytes, 8 * MIB + 1024)
    })

    test('a disk that does not fit is VSPHERE_NO_SPACE and leaves nothing', async (t, hypervisor) => {
      await t.rejects(hypervisor.createDisk('[small] full/a.vmdk', 2 * GIB, 'flat', soon()), { code: 'VSPHERE_NO_SPACE', message: /small|datastore/ })
      await t.rejects(hypervisor.createDisk('[small] full/a.vmdk', 2 * GIB, 'thin', soon()), { code: 'VSPHERE_NO_SPACE' })
      await t.rejects(hypervisor.attachDisk({ path: '[small] full/a.vmdk', sizeBytes: 2 * GIB, uuid: '' }, soon()), { code: 'VSPHERE_NOT_FOUND' })
    })

    test('a datastore that is not there is DATASTORE_NOT_FOUND', async (t, hypervisor) => {
      await t.rejects(hypervisor.createDisk('[missing] a/a.vmdk', MIB, 'thin', soon()), { code: 'DATASTORE_NOT_FOUND', message: /missing/ })
    })

    test('a path that is none is REQUEST_INVALID', async (t, hypervisor) => {
      for (const path of ['a.vmdk', '[big] ../a.vmdk', '[big] ', '[] a.vmdk', '[big] a//b.vmdk']) await t.rejects(hypervisor.createDisk(path, MIB, 'thin', soon()), { code: 'REQUEST_INVALID' })
    })

    test('an attached disk has a UUID of 32 hex digits, each its own and the same when asked again', async (t, hypervisor) => {
      const [a, b] = await attachedDisks(hypervisor, 2, 'uuids')
      t.match(a?.uuid, /^[0-9a-f]{32}$/)
      t.not(a?.uuid, b?.uuid)
      t.equal(a?.sizeBytes, 8 * MIB)
      if (a !== undefined) t.strictSame(await hypervisor.attachDisk({ ...a, uuid: '' }, soon()), a)
    })

    test('disks attached at the same time each get a place', async (t, hypervisor) => {
      const created = await Promise.all([0, 1, 2, 3].map(async i => await hypervisor.createDisk(`[big] together/${String(i)}.vmdk`, MIB, 'thin', soon())))
      const attached = await Promise.all(created.map(async d => await hypervisor.attachDisk(d, soon())))
      t.equal(new Set(attached.map(d => d.uuid)).size, 4)
    })

    test('detaching keeps the file, and detaching again does nothing', async (t, hypervisor) => {
      const [disk] = await attachedDisks(hypervisor, 1, 'detach')
      if (disk === undefined) throw new Error('no disk')
      await hypervisor.detachDisks([disk], soon())
      await hypervisor.detachDisks([disk], soon())
      t.equal((await hypervisor.attachDisk(disk, soon())).uuid, disk.uuid)
    })

    test('a disk that is attached is not deleted, and a detached one is, also twice', async (t, hypervisor) => {
      const [disk] = await attachedDisks(hypervisor, 1, 'delete')
      if (disk === undefined) throw new Error('no disk')
      await t.rejects(hypervisor.deleteDisk(disk, soon()), { code: 'VSPHERE_BUSY' })
      t.equal((await hypervisor.attachDisk(disk, soon())).uuid, disk.uuid, 'it is still there')
      await hypervisor.detachDisks([disk], soon())
      await hypervisor.deleteDisk(disk, soon())
      await hypervisor.deleteDisk(disk, soon())
      await t.rejects(hypervisor.attachDisk(disk, soon()), { code: 'VSPHERE_NOT_FOUND' })
    })

    test('a disk that is attached to nothing is copied whole to a disk of its own', async (t, hypervisor) => {
      const [disk] = await attachedDisks(hypervisor, 1, 'copied')
      if (disk === undefined) throw new Error('no disk')
      await t.rejects(hypervisor.copyDisk(disk, '[big] copied-test/a.vmdk', soon()), { code: 'VSPHERE_BUSY' })
      await hypervisor.detachDisks([disk], soon())
      const copy = await hypervisor.copyDisk(disk, '[big] copied-test/a.vmdk', soon())
      t.strictSame(copy, { path: '[big] copied-test/a.vmdk', sizeBytes: disk.sizeBytes, uuid: '' })
      await t.rejects(hypervisor.copyDisk(disk, '[big] copied-test/a.vmdk', soon()), { code: 'VSPHERE_EXISTS' })
      const attached = await hypervisor.attachDisk(copy, soon())
      t.match(attached.uuid, /^[0-9a-f]{32}$/)
      t.not(attached.uuid, disk.uuid)
      t.equal((await hypervisor.attachDisk(disk, soon())).uuid, disk.uuid, 'the other one is as it was')
      await hypervisor.detachDisks([attached], soon())
      await hypervisor.deleteDisk(attached, soon())
      await t.rejects(hypervisor.copyDisk({ ...disk, path: '[big] copied/none.vmdk' }, '[big] copied-test/b.vmdk', soon()), { code: 'VSPHERE_NOT_FOUND' })
    })

    test('a child of a disk that is attached to nothing comes to the appliance, and the disk itself is its own again when the child is gone', async (t, hypervisor) => {
      const [disk] = await attachedDisks(hypervisor, 1, 'parent')
      if (disk === undefined) throw new Error('no disk')
      const path = '[big] parent-test/a.vmdk'
      await t.rejects(hypervisor.attachChild(disk, path, soon()), { code: 'VSPHERE_BUSY' })
      await hypervisor.detachDisks([disk], soon())
      await t.rejects(hypervisor.attachChild({ ...disk, path: '[big] parent/none.vmdk' }, path, soon()), { code: 'VSPHERE_NOT_FOUND' })
      const child = await hypervisor.attachChild(disk, path, soon())
      t.match(child, { path, sizeBytes: disk.sizeBytes, uuid: /^[0-9a-f]{32}$/ })
      t.strictSame(await hypervisor.attachDisk({ ...child, uuid: '' }, soon()), child, 'it is there')
      await t.rejects(hypervisor.attachDisk(disk, soon()), { code: 'VSPHERE_BUSY' }, 'nobody writes to what a child reads')
      const sibling = await hypervisor.attachChild(disk, '[big] parent-meanwhile/a.vmdk', soon())
      await hypervisor.detachDisks([sibling], soon())
      await hypervisor.deleteDisk(sibling, soon())
      await hypervisor.detachDisks([child], soon())
      await t.rejects(hypervisor.attachChild(disk, path, soon()), { code: 'VSPHERE_EXISTS' })
      await hypervisor.deleteDisk(child, soon())
      t.equal((await hypervisor.attachDisk(disk, soon())).uuid, disk.uuid, 'the parent is as it was')
    })

    test('a VM is built around the disks, powered off, and found again by its job', async (t, hypervisor) => {
      const disks = await attachedDisks(hypervisor, 3, 'replica')
      await hypervisor.detachDisks(disks, soon())
      const vm = { plan: planOf('replica', ['VM Network', 'Distributed'], 'replica'), disks, jobId: 'job-1' }
      const id = await hypervisor.createVm(vm, soon())
      t.equal(await hypervisor.powerState(id, soon()), 'off')
      t.equal(await hypervisor.createVm(vm, soon()), id)
      t.ok((await hypervisor.places(soon())).vmNames.includes('replica'))
      await t.rejects(hypervisor.createVm({ ...vm, jobId: 'job-2' }, soon()), { code: 'VM_NAME_TAKEN' })
      for (const disk of disks) await t.rejects(hypervisor.attachDisk(disk, soon()), { code: 'VSPHERE_BUSY', message: /replica/ })
    })

    test('more disks than one controller takes make a VM with more controllers', async (t, hypervisor) => {
      const disks: VirtualDisk[] = []
      for (let i = 0; i < 17; i += 1) disks.push(await hypervisor.createDisk(`[big] many/${String(i)}.vmdk`, MIB, 'thin', soon()))
      const id = await hypervisor.createVm({ plan: planOf('many', [], 'many'), disks, jobId: 'job-many' }, soon())
      for (const disk of disks) await t.rejects(hypervisor.deleteDisk(disk, soon()), { code: 'VSPHERE_BUSY' })
      await hypervisor.removeVm(id, soon())
      for (const disk of disks) await hypervisor.deleteDisk(disk, soon())
    })

    test('the name of another VM is VM_NAME_TAKEN', async (t, hypervisor) => {
      await t.rejects(hypervisor.createVm({ plan: planOf('landfall-appliance', [], 'taken'), disks: [], jobId: 'job-3' }, soon()), { code: 'VM_NAME_TAKEN' })
    })

    test('a network that is not there is NETWORK_NOT_FOUND and no VM is made', async (t, hypervisor) => {
      await t.rejects(hypervisor.createVm({ plan: planOf('netless', ['VM Network', 'gone'], 'netless'), disks: [], jobId: 'job-4' }, soon()), { code: 'NETWORK_NOT_FOUND', message: /gone/ })
      t.notOk((await hypervisor.places(soon())).vmNames.includes('netless'))
    })

    test('a disk that the appliance still has is not given to a VM', async (t, hypervisor) => {
      const disks = await attachedDisks(hypervisor, 1, 'held')
      await t.rejects(hypervisor.createVm({ plan: planOf('held', [], 'held'), disks, jobId: 'job-5' }, soon()), { code: 'VSPHERE_BUSY', message: /disk0/ })
    })

    test('power goes on and off, and asking for the state that is does nothing', async (t, hypervisor) => {
      const id = await hypervisor.createVm({ plan: planOf('powered', [], 'powered'), disks: [], jobId: 'job-6' }, soon())
      await hypervisor.power(id, 'off', soon())
      await hypervisor.power(id, 'on', soon())
      await hypervisor.power(id, 'on', soon())
      t.equal(await hypervisor.powerState(id, soon()), 'on')
      t.equal(await hypervisor.bootReport(id, soon()), undefined)
      await hypervisor.power(id, 'off', soon())
      t.equal(await hypervisor.powerState(id, soon()), 'off')
    })

    test('a VM that is off has no screenshot, nor has one on a server that makes none, and one that is gone is VSPHERE_NOT_FOUND', async (t, hypervisor) => {
      const id = await hypervisor.createVm({ plan: planOf('dark', [], 'dark'), disks: [], jobId: 'job-10' }, soon())
      t.equal(await hypervisor.screenshot(id, soon()), undefined)
      await hypervisor.power(id, 'on', soon())
      t.equal(await hypervisor.screenshot(id, soon()), undefined)
      await hypervisor.removeVm(id, soon())
      await t.rejects(hypervisor.screenshot(id, soon()), { code: 'VSPHERE_NOT_FOUND' })
    })

    test('removing a running VM powers it off and keeps the disks; removing it again does nothing', async (t, hypervisor) => {
      const disks = await attachedDisks(hypervisor, 2, 'removed')
      await hypervisor.detachDisks(disks, soon())
      const id = await hypervisor.createVm({ plan: planOf('removed', ['VM Network'], 'removed'), disks, jobId: 'job-7' }, soon())
      await hypervisor.power(id, 'on', soon())
      await hypervisor.removeVm(id, soon())
      await hypervisor.removeVm(id, soon())
      t.notOk((await hypervisor.places(soon())).vmNames.includes('removed'))
      await t.rejects(hypervisor.powerState(id, soon()), { code: 'VSPHERE_NOT_FOUND' })
      for (const disk of disks) t.equal((await hypervisor.attachDisk(disk, soon())).uuid, disk.uuid)
      const again = await hypervisor.createVm({ plan: planOf('removed', [], 'removed'), disks: [], jobId: 'job-8' }, soon())
      t.not(again, id)
    })

    test('an aborted signal stops before any effect', async (t, hypervisor) => {
      const aborted = AbortSignal.abort()
      await t.rejects(hypervisor.places(aborted), { name: 'AbortError' })
      await t.rejects(hypervisor.createDisk('[big] aborted/a.vmdk', MIB, 'thin', aborted), { name: 'AbortError' })
      await t.rejects(hypervisor.createVm({ plan: planOf('aborted', [], 'aborted'), disks: [], jobId: 'job-9' }, aborted), { name: 'AbortError' })
      t.notOk((await hypervisor.places(soon())).vmNames.includes('aborted'))
      await t.rejects(hypervisor.attachDisk({ path: '[big] aborted/a.vmdk', sizeBytes: MIB, uuid: '' }, soon()), { code: 'VSPHERE_NOT_FOUND' })
    })

    test('it may be disposed twice', async (t, hypervisor) => {
      await hypervisor[Symbol.asyncDispose]()
      await hypervisor[Symbol.asyncDispose]()
      t.pass()
    })
  })
}
