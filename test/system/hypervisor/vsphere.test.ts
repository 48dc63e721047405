import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Hypervisor } from '../../../src/hypervisor/hypervisor.ts'
import { openVsphereHypervisor, type VsphereTarget } from '../../../src/hypervisor/vsphere-hypervisor.ts'
import { planOf } from '../../contract/hypervisor.contract.ts'
import { startVcsim, vcsimMissing, type Vcsim } from '../../contract/start-vcsim.ts'
import { GOVC } from '../../lab/paths.ts'
import { tool } from '../../lab/tool.ts'

const soon = (): AbortSignal => AbortSignal.timeout(60_000)
const MIB = 1 << 20

interface Lab { readonly vcsim: Vcsim, readonly target: VsphereTarget, readonly hypervisor: Hypervisor, readonly govc: (...args: string[]) => Promise<string> }

/** vcsim, the product's client logged in to it, and govc as the witness that we did not write. */
async function open(t: Test): Promise<Lab> {
  const vcsim = await startVcsim({ big: 1024, small: 1 })
  t.teardown(async () => { await vcsim[Symbol.asyncDispose]() })
  const target = { host: '127.0.0.1', port: vcsim.port, user: 'administrator', password: vcsim.password, thumbprint: vcsim.thumbprint, applianceVm: 'landfall-appliance' }
  const hypervisor = await openVsphereHypervisor(target, soon())
  t.teardown(async () => { await hypervisor[Symbol.asyncDispose]() })
  const env = { GOVC_URL: `https://127.0.0.1:${String(vcsim.port)}/sdk`, GOVC_USERNAME: 'administrator', GOVC_PASSWORD: vcsim.password, GOVC_INSECURE: '1', GOVC_PERSIST_SESSION: 'false' }
  return { vcsim, target, hypervisor, govc: async (...args) => (await tool(GOVC, args, { env, timeoutMs: 30_000 })).stdout }
}

const missing = vcsimMissing()
const test = (title: string, run: (t: Test) => Promise<void>): void => { t.test(title, missing === false ? {} : { skip: missing }, run) }

test('a wrong password is VSPHERE_LOGIN', async t => {
  const { target } = await open(t)
  await t.rejects(openVsphereHypervisor({ ...target, password: 'wrong' }, soon()), { code: 'VSPHERE_LOGIN', message: /the user or the password is wrong/ })
})

test('an appliance VM that is not there is VSPHERE_NOT_FOUND', async t => {
  const { target } = await open(t)
  await using hypervisor = await openVsphereHypervisor({ ...target, applianceVm: 'nobody' }, soon())
  await t.rejects(hypervisor.places(soon()), { code: 'VSPHERE_NOT_FOUND', message: /nobody/ })
})

test('a session that is ended from outside is renewed and the work goes on', async t => {
  const { hypervisor, govc } = await open(t)
  await hypervisor.places(soon())
  const keys = [...(await govc('session.ls', '-json')).matchAll(/"key": ?"([^"]+)"/gi)].flatMap(m => m[1] ?? [])
  t.ok(keys.length > 0)
  for (const key of keys) await govc('session.rm', key).catch(() => undefined) // govc's own is gone by itself
  t.equal((await hypervisor.createDisk('[big] renewed/a.vmdk', MIB, 'thin', soon())).sizeBytes, MIB)
  t.match(await hypervisor.places(soon()), { applianceVm: 'landfall-appliance' })
})

test('govc sees the disks where we say they are, independent, and on a second controller when the first is full', async t => {
  const { hypervisor, govc } = await open(t)
  for (let i = 0; i < 16; i += 1) await hypervisor.attachDisk(await hypervisor.createDisk(`[big] job/d${String(i)}.vmdk`, MIB, 'thin', soon()), soon())
  const devices = JSON.parse(await govc('device.info', '-json', '-vm', 'landfall-appliance')) as { devices: { type: string, unitNumber?: number, controllerKey?: number, busNumber?: number, backing?: { fileName?: string, diskMode?: string } }[] }
  const disks = devices.devices.filter(d => d.type === 'VirtualDisk' && d.backing?.fileName?.startsWith('[big] job/') === true)
  t.equal(disks.length, 16)
  t.ok(disks.every(d => d.backing?.diskMode === 'independent_persistent'))
  t.notOk(disks.some(d => d.unitNumber === 7))
  t.strictSame(devices.devices.filter(d => d.type === 'ParaVirtualSCSIController').map(d => d.busNumber), [0, 1])
  t.equal(new Set(disks.map(d => `${String(d.controllerKey)}:${String(d.unitNumber)}`)).size, 16)
})

test('the boot report is read from what the guest set, and something else in its place counts as none', async t => {
  const { hypervisor, govc } = await open(t)
  const id = await hypervisor.createVm({ plan: planOf('booted', ['VM Network'], 'booted'), disks: [], jobId: 'j' }, soon())
  await govc('vm.change', '-vm', 'booted', '-e', 'guestinfo.landfall.boot={"hostName":')
  t.equal(await hypervisor.bootReport(id, soon()), undefined)
  const proof = { hostName: 'web1', systemState: 'running', failedUnits: ['x.service'], addresses: ['192.0.2.7'], scriptOutput: 'a "b"\n<c>', scriptExitCode: 0, bootedAtUtc: '2026-01-01T00:00:00Z' }
  await govc('vm.change', '-vm', 'booted', '-e', `guestinfo.landfall.boot=${JSON.stringify(proof)}`)
  t.strictSame(await hypervisor.bootReport(id, soon()), proof)
})

test('the VM that govc sees is the planned one', async t => {
  const { hypervisor, govc } = await open(t)
  const disk = await hypervisor.createDisk('[big] planned/a.vmdk', MIB, 'thin', soon())
  await hypervisor.createVm({ plan: planOf('planned', ['VM Network', 'Distributed'], 'planned'), disks: [disk], jobId: 'job-42' }, soon())
  const vm = JSON.parse(await govc('vm.info', '-json', '-e', 'planned')) as unknown
  t.match(vm, { virtualMachines: [{ config: {
    guestId: 'debian12_64Guest', firmware: 'bios', annotation: /job-42/, hardware: { numCPU: 4, numCoresPerSocket: 2, memoryMB: 2048 }, files: { vmPathName: '[big] planned/planned.vmx' },
  } }] })
  const options = JSON.stringify(vm)
  t.match(options, /"key":"disk\.EnableUUID","value":\{?[^}]*TRUE/)
  t.match(options, /00:50:56:00:01:00/)
  t.match(options, /00:50:56:00:01:01/)
})

test('nothing of a job is left on the datastore when its VM and its disks are removed', async t => {
  const { vcsim, hypervisor } = await open(t)
  const disks = [await hypervisor.createDisk('[big] gone/a.vmdk', MIB, 'flat', soon()), await hypervisor.createDisk('[big] gone/b.vmdk', MIB, 'thin', soon())]
  const id = await hypervisor.createVm({ plan: planOf('gone', [], 'gone'), disks, jobId: 'j' }, soon())
  await hypervisor.removeVm(id, soon())
  t.strictSame((await readdir(join(vcsim.folderOf('big'), 'gone'))).sort(), ['a-flat.vmdk', 'a.vmdk', 'b-flat.vmdk', 'b.vmdk'], 'the disks stay, the VM is gone')
  for (const disk of disks) await hypervisor.deleteDisk(disk, soon())
  t.strictSame(await readdir(vcsim.folderOf('big')), ['landfall-appliance'])
})

test('a file of somebody else in the folder keeps it', async t => {
  const { vcsim, hypervisor, govc } = await open(t)
  const disk = await hypervisor.createDisk('[big] shared/a.vmdk', MIB, 'thin', soon())
  await govc('datastore.mkdir', '-ds', 'big', 'shared/theirs')
  await hypervisor.deleteDisk(disk, soon())
  t.strictSame(await readdir(join(vcsim.folderOf('big'), 'shared')), ['theirs'])
})
