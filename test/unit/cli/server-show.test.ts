import t from 'tap'
import type { Workload } from '../../../src/domain/workload.ts'
import { run, startAppliance } from './fake-appliance.ts'
import { source } from './records.ts'

const fileSystem: Workload['volumes'][number]['fileSystem'] = { type: 'ext4', typeName: 'ext4', uuid: 'u', label: '', blockSizeBytes: 4096, usedBytes: 2 ** 30, features: [], inodeSizeBytes: 256, properties: {} }
const workload: Workload = {
  version: 1, hostName: 'web1', machineId: 'ab'.repeat(16), os: { id: 'debian', idLike: [], versionId: '12', prettyName: 'Debian', architecture: 'x86_64' },
  firmware: 'bios', cpu: { sockets: 1, coresPerSocket: 2, model: 'Example' }, memoryBytes: 2 ** 31,
  disks: [{ name: 'sda', sizeBytes: 8 * 2 ** 30, sectorSizeBytes: 512, table: 'gpt', tableId: 'x', partitions: [] }],
  volumes: [
    { name: '/', device: '/dev/sda1', mountPoint: '/', mountOptions: 'rw', sizeBytes: 4 * 2 ** 30, fileSystem, disk: 'sda', partition: 1, required: true },
    { name: '/b', device: '/dev/sda2', mountPoint: '/b', mountOptions: 'rw', sizeBytes: 2 ** 30, fileSystem: { ...fileSystem, type: 'btrfs', typeName: 'btrfs' }, disk: 'sda', partition: 2, required: false, unsupportedReason: 'btrfs file systems cannot be migrated yet' },
  ],
  adapters: [{ name: 'eth0', macAddress: '52:54:00:12:34:56', mtu: 1500, addresses: [{ family: 'inet', address: '192.0.2.10', prefixLength: 24 }] }],
  routes: [], dns: { servers: ['192.0.2.53'], search: [] },
  boot: { loader: 'grub2', bootDisks: ['sda'], commandLine: '', initramfsTool: 'initramfs-tools', kernels: [{ version: '6.1', imagePath: '/boot/vmlinuz-6.1', drivers: ['vmw_pvscsi'], running: true }] },
  capture: { tier: 'none', reason: 'kernel too old', unseen: [] }, findings: [{ code: 'NETWORK_MOUNT', severity: 'warning', subject: '/nfs', message: 'stays there', advice: 'check' }],
}

t.test('a connected source is shown with what runs on it', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /sources/web1', { status: 200, body: source })
  appliance.on('GET /sources/web1/workload', { status: 200, body: workload })
  const { code, out } = await run(appliance, ['server', 'show', 'web1'])
  t.equal(code, 0)
  for (const part of [/^Status: +connected$/m, /^Memory: +2.00 GiB$/m, /^\/ .*ext4 +4.00 GiB +1.00 GiB +always migrated$/m, /btrfs file systems cannot/, /^eth0 +52:54:00:12:34:56 +192.0.2.10\/24$/m,
    /^6.1 \(running\) +vmw_pvscsi$/m, /not possible: kernel too old/, /^warning +\/nfs +stays there$/m]) t.match(out, part)
  t.same(JSON.parse((await run(appliance, ['server', 'show', 'web1', '--json'])).out), { source, workload })
})

t.test('the tier of the capture is shown in words, with what is only seen later', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /sources/web1', { status: 200, body: source })
  appliance.on('GET /sources/web1/workload', { status: 200, body: { ...workload, capture: { tier: 'C', reason: 'the agent lacks the right CAP_SYS_ADMIN', unseen: ['chattr', 'mmap'] } } })
  const { out } = await run(appliance, ['server', 'show', 'web1'])
  t.match(out, /^Capture: +tier C: directories are watched one by one \(the agent lacks the right CAP_SYS_ADMIN\)$/m)
  t.match(out, /^Seen later: +chattr; mmap$/m)
})

t.test('the better tiers are shown with what they tell, and why it is not the best', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /sources/web1', { status: 200, body: source })
  for (const [capture, shown] of [
    [{ tier: 'A', reason: '', unseen: ['chattr'] }, /^Capture: +tier A: names, attributes and ranges of data as they change$/m],
    [{ tier: 'B', reason: 'dirty pages cannot be followed', unseen: ['chattr'] }, /^Capture: +tier B: names, attributes and files as they change; ranges by checksum \(dirty pages cannot be followed\)$/m],
  ] as const) {
    appliance.on('GET /sources/web1/workload', { status: 200, body: { ...workload, capture } })
    const { out } = await run(appliance, ['server', 'show', 'web1'])
    t.match(out, shown)
    t.match(out, /^Seen later: +chattr$/m)
  }
})

t.test('a source that is away is shown without asking it', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /sources/web1', { status: 200, body: { ...source, status: 'disconnected' } })
  t.match(await run(appliance, ['server', 'show', 'web1']), { code: 0, out: /disconnected/ })
  t.equal(appliance.seen.length, 1)
})

t.test('the question can be left out', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /sources/web1', { status: 200, body: source })
  t.same(JSON.parse((await run(appliance, ['server', 'show', 'web1', '--no-workload', '--json'])).out), { source })
  t.equal(appliance.seen.length, 1)
})
