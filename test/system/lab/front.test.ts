import { X509Certificate } from 'node:crypto'
import { mkdir, readdir, readFile, realpath, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Hypervisor } from '../../../src/hypervisor/hypervisor.ts'
import { openVsphereHypervisor } from '../../../src/hypervisor/vsphere-hypervisor.ts'
import { makeCertificate } from '../../lab/certificate.ts'
import { startFollower, type Follower } from '../../lab/follower.ts'
import { createLoopDiskPlug, type LoopDiskPlug } from '../../lab/loop-disk-plug.ts'
import { SESSION_EXPIRED, startFront, type Front } from '../../lab/front.ts'
import { loopsBelow } from '../../lab/loop-devices.ts'
import { GOVC } from '../../lab/paths.ts'
import { waitUntil } from '../../lab/process-identity.ts'
import { createRunDirectory, sweep, type RunDirectory } from '../../lab/run-directory.ts'
import { readScreen } from '../../lab/screen.ts'
import { tool } from '../../lab/tool.ts'
import { APPLIANCE_VM, startVcsim, USER } from '../../lab/vcsim.ts'

const PASSWORD = 'Lab-pass-1'

interface Setup { run: RunDirectory, front: Front, follower: Follower, plug: LoopDiskPlug, hypervisor: Hypervisor, govc: (...args: string[]) => Promise<string> }

async function open(t: Test): Promise<Setup> {
  const run = await createRunDirectory()
  t.teardown(async () => { await sweep(run) })
  const certificate = await makeCertificate(run.path, 'front')
  const vcsim = await startVcsim(run, certificate, PASSWORD, [{ name: 'large', capacityGib: 64 }, { name: 'small', capacityGib: 1 }], ['Servers'])
  const plug = await createLoopDiskPlug(run)
  const follower = await startFollower(run, vcsim, plug)
  const front = await startFront({ vcsim, follower, certificate, datacenter: await vcsim.datacenterId(), datastore: 'large' })
  t.teardown(async () => {
    await front[Symbol.asyncDispose]()
    await follower[Symbol.asyncDispose]()
  })
  const env = { GOVC_URL: `https://127.0.0.1:${String(front.port)}/sdk`, GOVC_USERNAME: USER, GOVC_PASSWORD: PASSWORD, GOVC_TLS_CA_CERTS: certificate.certificateFile, GOVC_PERSIST_SESSION: 'false' }
  const target = { host: '127.0.0.1', port: front.port, user: USER, password: PASSWORD, thumbprint: new X509Certificate(certificate.certificate).fingerprint256, applianceVm: APPLIANCE_VM }
  const hypervisor = await openVsphereHypervisor(target, AbortSignal.timeout(60_000))
  t.teardown(async () => { await hypervisor[Symbol.asyncDispose]() })
  return { run, front, follower, plug, hypervisor, govc: async (...args) => (await tool(GOVC, args, { env })).stdout }
}

async function overwrite(device: string, text: string): Promise<void> {
  await writeFile(device, text, { flag: 'r+', flush: true })
}

const attach = (vm: string, disk: string): string[] => ['vm.disk.attach', '-vm', vm, '-ds', 'large', '-disk', disk, '-link=false']

t.test('a disk that is attached to the appliance is a loop device under its UUID, and gone after it is detached', async (t) => {
  const { run, plug, govc } = await open(t)
  await govc('datastore.mkdir', '-ds', 'large', 'replica')
  await govc('datastore.disk.create', '-ds', 'large', '-size', '2G', 'replica/a.vmdk')
  await govc(...attach(APPLIANCE_VM, 'replica/a.vmdk'))
  const [uuid = ''] = await readdir(plug.devices)
  t.match(uuid, /^[0-9a-f]{32}$/)
  const device = await realpath(join(plug.devices, uuid))
  t.equal((await tool('blockdev', ['--getsize64', device])).stdout.trim(), String(2 * 2 ** 30), 'the device has the size of the descriptor')
  t.match(await govc('device.info', '-json', '-vm', APPLIANCE_VM), /"capacityInKB": 2097152/, 'the inventory tells the size')
  await govc('device.remove', '-vm', APPLIANCE_VM, '-keep', 'disk-202-1')
  t.strictSame(await readdir(plug.devices), [])
  t.strictSame(await loopsBelow(run.path), [])
})

t.test('a disk that is detached while it is mounted is a violation, and is not pulled', async (t) => {
  const { run, follower, plug, govc } = await open(t)
  await govc('datastore.disk.create', '-ds', 'large', '-size', '1G', 'b.vmdk')
  await govc(...attach(APPLIANCE_VM, 'b.vmdk'))
  const device = await realpath(join(plug.devices, (await readdir(plug.devices))[0] ?? ''))
  const mount = join(run.path, 'mounted')
  await mkdir(mount)
  await tool('mkfs.ext4', ['-q', '-F', device])
  await tool('mount', [device, mount])
  await t.rejects(govc('device.remove', '-vm', APPLIANCE_VM, '-keep', 'disk-202-1'), /detached while .* is mounted/)
  t.equal(follower.violations.length, 1)
  t.equal((await loopsBelow(run.path)).length, 1)
  await tool('umount', [mount])
})

t.test('what a real host refuses is refused', async (t) => {
  const { govc } = await open(t)
  await govc('datastore.disk.create', '-ds', 'large', '-size', '1G', 'c.vmdk')
  await govc(...attach(APPLIANCE_VM, 'c.vmdk'))
  await govc('vm.create', '-on=false', '-ds', 'large', '-net', 'Servers', '-disk.controller', 'pvscsi', 'replica')
  await t.rejects(govc(...attach('replica', 'c.vmdk')), /Failed to lock the file/, 'a disk in use by another VM')
  await t.rejects(govc('datastore.disk.create', '-ds', 'small', '-d', 'eagerZeroedThick', '-size', '2G', 'd.vmdk'), /Insufficient disk space/, 'a datastore that is too small')
  await t.rejects(govc('vm.create', '-on=false', '-ds', 'small', '-net', 'Servers', 'replica'), /already exists/, 'a VM name that is taken')
})

t.test('a child shows what its parent holds, keeps what is written to it, and its parent is locked for as long as a running VM has it', async (t) => {
  const { plug, govc, hypervisor } = await open(t)
  const signal = AbortSignal.timeout(60_000)
  const only = async (): Promise<string> => await realpath(join(plug.devices, (await readdir(plug.devices))[0] ?? ''))
  const parent = await hypervisor.attachDisk(await hypervisor.createDisk('[large] own/a.vmdk', 2 ** 20, 'thin', signal), signal)
  await overwrite(await only(), 'parent')
  await hypervisor.detachDisks([parent], signal)
  const child = await hypervisor.attachChild(parent, '[large] own-test/a.vmdk', signal)
  t.equal((await readFile(await only(), 'latin1')).slice(0, 6), 'parent')
  await overwrite(await only(), 'child ')
  await hypervisor.detachDisks([child], signal)
  await govc('vm.create', '-on=false', '-ds', 'large', '-net', 'Servers', '-disk.controller', 'pvscsi', 'test')
  await govc(...attach('test', 'own-test/a.vmdk'))
  await govc('vm.power', '-on', 'test')
  await t.rejects(govc(...attach(APPLIANCE_VM, 'own/a.vmdk')), /Failed to lock the file/)
  await govc('vm.power', '-off', 'test')
  await govc('device.remove', '-vm', 'test', '-keep', 'disk-202-0')
  t.equal((await hypervisor.attachDisk(child, signal)).sizeBytes, 2 ** 20)
  t.equal((await readFile(await only(), 'latin1')).slice(0, 6), 'child ')
  await hypervisor.detachDisks([child], signal)
  await hypervisor.deleteDisk(child, signal)
  await hypervisor.attachDisk(parent, signal)
  t.equal((await readFile(await only(), 'latin1')).slice(0, 6), 'parent')
})

t.test('it breaks as it is told, so often as it is told', async (t) => {
  const { front, govc } = await open(t)
  const create = (name: string): Promise<string> => govc('datastore.disk.create', '-ds', 'large', '-size', '1G', name)
  front.rules.push(
    { method: 'CreateVirtualDisk_Task', times: 1, status: 503 },
    { method: 'CreateVirtualDisk_Task', times: 1, reset: true },
    { method: 'CreateVirtualDisk_Task', times: 1, refuse: SESSION_EXPIRED },
    { method: 'CreateVirtualDisk_Task', times: 1, refuse: { as: 'call', fault: 'NoPermission', message: 'Permission to perform this operation was denied.' } },
    { method: 'CreateVirtualDisk_Task', times: 1, refuse: { as: 'task', fault: 'FileLocked', message: 'Failed to lock the file' } },
  )
  await t.rejects(create('e.vmdk'), /503/)
  await t.rejects(create('e.vmdk'), /EOF|reset/)
  await t.rejects(create('e.vmdk'), /not authenticated/)
  await t.rejects(create('e.vmdk'), /denied/)
  await t.rejects(create('e.vmdk'), /Failed to lock/)
  await create('e.vmdk')
})

t.test('a VM that is powered on is a machine whose disks stay as they are', async (t) => {
  const { run, follower, govc } = await open(t)
  await govc('vm.create', '-on=false', '-ds', 'large', '-m', '512', '-net', 'Servers', '-disk.controller', 'pvscsi', '-net.adapter', 'vmxnet3', 'replica')
  await govc('datastore.disk.create', '-ds', 'large', '-size', '1G', 'f.vmdk')
  await govc(...attach('replica', 'f.vmdk'))
  await govc('vm.power', '-on', 'replica')
  const machine = follower.machine('replica')
  t.ok(machine?.isRunning())
  const screen = join(run.path, 'screen.png')
  await waitUntil('the firmware to write on the screen', 20_000, async () => {
    await govc('vm.console', '-capture', screen, 'replica')
    return !readScreen(await readFile(screen)).isEmpty
  })
  await t.rejects(govc(...attach(APPLIANCE_VM, 'f.vmdk')), /Failed to lock the file/)
  await govc('vm.power', '-off', 'replica')
  t.notOk(machine?.isRunning())
  t.equal((await stat(join(run.path, 'datastores/large/f-flat.vmdk'))).blocks, 0, 'nothing was ever written')
})
