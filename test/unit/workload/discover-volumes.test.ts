/** Disks and volumes together, as discover.ts joins them. */
import { join } from 'node:path'
import t from 'tap'
import type { BlockDevice } from '../../../src/command/lsblk.ts'
import { ScriptedRunner, type ScriptedRun } from '../../../src/command/scripted-runner.ts'
import type { Finding } from '../../../src/domain/finding.ts'
import type { Disk, Volume } from '../../../src/domain/volume.ts'
import { discoverDisks } from '../../../src/workload/discover-disks.ts'
import { discoverVolumes } from '../../../src/workload/discover-volumes.ts'
import type { Mount } from '../../../src/workload/mount-table.ts'

const kernel = { proc: '/proc', sys: '/sys', dev: '/nonexistent' }
const GIB = 2 ** 30

function device(kernelName: string, type: string, majorMinor: string, parents: readonly string[] = [], changes: Partial<BlockDevice> = {}): BlockDevice {
  return { kernelName, path: `/dev/${kernelName}`, type, majorMinor, sizeBytes: GIB, sectorSizeBytes: 512, removable: false, readOnly: false, parents, ...changes }
}

const mount = (mountPoint: string, majorMinor: string, type = 'ext4', source = '/dev/x', fileSystemRoot = '/'): Mount =>
  ({ mountPoint, hostPath: '/', majorMinor, fileSystemRoot, type, source, options: 'rw' })

const EXT = 'Filesystem volume name: x\nFilesystem UUID: u\nFilesystem features: extent\nInode count: 1\nBlock count: 1\nBlock size: 1024\nInode size: 256\n'
const ext = (path: string): ScriptedRun[] => [blkid(path, `TYPE=ext4\nUUID=u-${path.slice(5)}\n`), { tool: 'dumpe2fs', args: ['-h', path], stdout: EXT }]
const blkid = (path: string, stdout: string): ScriptedRun => ({ tool: 'blkid', args: ['-p', '-o', 'export', '--', path], stdout, exitCode: stdout === '' ? 2 : 0 })

/** A GPT with these partitions on /dev/<disk>. */
function table(disk: string, nodes: readonly string[]): ScriptedRun[] {
  const partitions = nodes.map((node, i) => ({ node: `/dev/${node}`, start: 2048 * (i + 1), size: 2048, type: '0fc63daf-8483-4772-8e79-3d69d8477de4', uuid: `P${String(i)}` }))
  return [blkid(`/dev/${disk}`, 'PTTYPE=gpt\n'), { tool: 'sfdisk', args: ['--json', `/dev/${disk}`], stdout: JSON.stringify({ partitiontable: { label: 'gpt', id: 'G', unit: 'sectors', sectorsize: 512, partitions } }) }]
}

async function discover(devices: readonly BlockDevice[], mounts: readonly Mount[], runs: readonly ScriptedRun[], live = true): Promise<{ disks: Disk[], volumes: Volume[], findings: Finding[] }> {
  const findings: Finding[] = []
  const report = (f: Finding): void => { findings.push(f) }
  const runner = new ScriptedRunner(runs)
  const signal = AbortSignal.timeout(10_000)
  const { disks, below } = await discoverDisks({ runner, devices, mounts, live, kernel, report, signal })
  const volumes = await discoverVolumes({ runner, root: '/', devices: below, disks, mounts, kernel, report, signal })
  return { disks, volumes, findings }
}

t.test('what the system needs is required; swap and data are not', async t => {
  const devices = [device('sda', 'disk', '8:0'), ...[1, 2, 3, 4, 5].map(n => device(`sda${String(n)}`, 'part', `8:${String(n)}`, ['sda']))]
  const { volumes, findings } = await discover(devices, [mount('/', '8:1'), mount('/boot', '8:2'), mount('/usr', '8:3'), mount('/srv', '8:4')], [
    ...table('sda', ['sda1', 'sda2', 'sda3', 'sda4', 'sda5']), ...['/dev/sda1', '/dev/sda2', '/dev/sda3', '/dev/sda4'].flatMap(ext), blkid('/dev/sda5', 'TYPE=swap\nUUID=s\nVERSION=1\n'),
  ])
  t.same(volumes.map(v => [v.name, v.required, v.unsupportedReason]), [['/', true, undefined], ['/boot', true, undefined], ['/srv', false, undefined], ['/usr', true, undefined], ['swap-s', false, undefined]])
  t.same(findings, [])
})

t.test('LVM, RAID, LUKS and multipath are told with their disk and the reason', async t => {
  const devices = [
    device('sda', 'disk', '8:0'), device('sda1', 'part', '8:1', ['sda']), device('sda2', 'part', '8:2', ['sda']), device('sda3', 'part', '8:3', ['sda']),
    device('sdb', 'disk', '8:16'), device('dm-0', 'lvm', '253:0', ['sda1']), device('md0', 'raid1', '9:0', ['sda2', 'sdb']), device('dm-1', 'crypt', '253:1', ['sda3']), device('dm-2', 'mpath', '253:2', ['sdb']),
  ]
  const { volumes } = await discover(devices, [mount('/', '253:0'), mount('/a', '9:0'), mount('/b', '253:1'), mount('/c', '253:2')], [
    ...table('sda', ['sda1', 'sda2', 'sda3']), blkid('/dev/sdb', ''), ...['/dev/dm-0', '/dev/md0', '/dev/dm-1', '/dev/dm-2'].flatMap(ext),
  ])
  t.same(volumes.map(v => [v.name, v.disk, v.partition, v.unsupportedReason]), [
    ['/', 'sda', 1, 'logical volumes cannot be migrated yet'], ['/a', 'sda', 2, 'software RAID cannot be migrated yet'],
    ['/b', 'sda', 3, 'encrypted volumes cannot be migrated yet'], ['/c', 'sdb', 0, 'multipath devices cannot be migrated yet'],
  ])
})

t.test('a file system that is not mounted, a locked container and a bind mount are told', async t => {
  const devices = [device('sda', 'disk', '8:0'), ...[1, 2, 3, 4].map(n => device(`sda${String(n)}`, 'part', `8:${String(n)}`, ['sda']))]
  const { volumes } = await discover(devices, [mount('/', '8:1'), mount('/part', '8:4', 'ext4', '/dev/sda4', '/sub')], [
    ...table('sda', ['sda1', 'sda2', 'sda3', 'sda4']), ...['/dev/sda1', '/dev/sda2', '/dev/sda4'].flatMap(ext), blkid('/dev/sda3', 'TYPE=crypto_LUKS\nUUID=l\n'),
  ])
  t.same(volumes.map(v => [v.name, v.unsupportedReason]), [
    ['/', undefined], ['/part', 'only its directory /sub is mounted'], ['sda2', 'it is not mounted: mount it if it is to be migrated'], ['sda3', 'crypto_LUKS file systems cannot be migrated yet'],
  ])
})

t.test('of several mounts of one file system the whole one counts', async t => {
  const { volumes } = await discover([device('sda', 'disk', '8:0')], [mount('/', '8:0', 'ext4', '/dev/sda', '/'), mount('/a', '8:0', 'ext4', '/dev/sda', '/x'), mount('/b', '8:0')], ext('/dev/sda'))
  t.same(volumes.map(v => [v.name, v.disk, v.partition]), [['/', 'sda', 0]])
})

t.test('network mounts and stacked file systems are findings, virtual ones and containers are not', async t => {
  const { findings } = await discover([device('sda', 'disk', '8:0')], [
    mount('/', '8:0'), mount('/nfs', '0:50', 'nfs4', 'filer:/x'), mount('/win', '0:51', 'cifs', '//w/x'), mount('/zfs', '0:52', 'zfs', 'tank'), mount('/proc', '0:5', 'proc', 'proc'), mount('/run', '0:6', 'tmpfs', 'tmpfs'),
    mount('/var/lib/docker/overlay2/1/merged', '0:60', 'overlay', 'overlay'), mount('/sys/fs/fuse', '0:61', 'fusectl', 'fusectl'), mount('/remote', '0:62', 'fuse.sshfs', 'u@h:'),
  ], ext('/dev/sda'))
  t.same(findings.map(f => [f.code, f.subject]), [['NETWORK_MOUNT', '/nfs'], ['NETWORK_MOUNT', '/win'], ['FILE_SYSTEM_STACKED', '/zfs'], ['NETWORK_MOUNT', '/remote']])
})

t.test('a root on no disk is an error', async t => {
  const { volumes, findings } = await discover([], [mount('/', '0:40', 'overlay', 'overlay')], [])
  t.same(volumes, [])
  t.ok(findings.some(f => f.code === 'ROOT_VOLUME_UNKNOWN' && f.severity === 'error'))
})

t.test('of a live server media, images and memory disks are left out; of a mounted tree only what carries it counts', async t => {
  const devices = [device('sda', 'disk', '8:0'), device('sdb', 'disk', '8:16', [], { removable: true }), device('zram0', 'disk', '253:0'), device('loop0', 'loop', '7:0'), device('sdc', 'disk', '8:32')]
  const runs = [...ext('/dev/sda'), blkid('/dev/sdc', ''), ...ext('/dev/loop0')]
  const live = await discover(devices, [mount('/', '8:0'), mount('/img', '7:0')], runs)
  t.same(live.disks.map(d => d.name), ['sda', 'sdc'])
  t.same(live.volumes.map(v => v.name), ['/'])
  const tree = await discover(devices, [mount('/', '7:0')], runs, false)
  t.same(tree.disks.map(d => d.name), ['loop0'])
  t.same(tree.volumes.map(v => [v.name, v.disk, v.partition, v.unsupportedReason]), [['/', 'loop0', 0, undefined]])
})

t.test('a partition table that cannot be read is a finding, and its volumes are not taken', async t => {
  const devices = [device('sda', 'disk', '8:0'), device('sda1', 'part', '8:1', ['sda'])]
  const { disks, volumes, findings } = await discover(devices, [mount('/', '8:1')], [
    blkid('/dev/sda', 'PTTYPE=sun\n'), { tool: 'sfdisk', args: ['--json', '/dev/sda'], stdout: '{"partitiontable":{"label":"sun","id":"","unit":"sectors"}}' }, ...ext('/dev/sda1'),
  ])
  t.match(disks, [{ name: 'sda', table: 'none' }])
  t.match(volumes, [{ name: '/', unsupportedReason: 'the partition table of sda does not list it' }])
  t.match(findings, [{ code: 'DISCOVERY_INCOMPLETE', severity: 'error' }])
})

t.test('devices that name each other as parents end the search', async t => {
  const { volumes } = await discover([device('dm-0', 'lvm', '253:0', ['dm-1']), device('dm-1', 'lvm', '253:1', ['dm-0'])], [mount('/', '253:0')], ext('/dev/dm-0'), false)
  t.same(volumes, [])
})

t.test('recorded runs of real tools give the disk that they were recorded from', async t => {
  const runner = await ScriptedRunner.open(join(import.meta.dirname, '../../../fixtures/command'), ['lsblk/mbr-loop-disk', 'blkid/disk-with-mbr', 'sfdisk/mbr', 'blkid/ext4', 'dumpe2fs/ext4-mounted', 'blkid/swap', 'blkid/xfs'])
  const { listBlockDevices } = await import('../../../src/command/lsblk.ts')
  const signal = AbortSignal.timeout(10_000)
  const devices = await listBlockDevices(runner, signal)
  const mounts = [mount('/', '259:0')]
  const report = (f: Finding): void => { throw new Error(f.message) }
  const { disks, below } = await discoverDisks({ runner, devices, mounts, live: false, kernel, report, signal })
  const volumes = await discoverVolumes({ runner, root: '/mnt', devices: below, disks, mounts, kernel, report, signal })
  t.same(disks.map(d => [d.name, d.table, d.partitions.length]), [['loop0', 'dos', 3]])
  t.same(volumes.map(v => [v.name, v.fileSystem.type]), [['/', 'ext4'], ['swap-22222222-3333-4444-8555-666666666666', 'swap'], ['loop0p3', 'xfs']])
  t.same(runner.unused(), [])
})
