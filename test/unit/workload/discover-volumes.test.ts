/** Disks and volumes together, as discover.ts joins them. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { BlockDevice } from '../../../src/command/lsblk.ts'
import { ScriptedRunner, type ScriptedRun } from '../../../src/command/scripted-runner.ts'
import type { Finding } from '../../../src/domain/finding.ts'
import type { Layers } from '../../../src/domain/layer.ts'
import type { Disk, Volume } from '../../../src/domain/volume.ts'
import { discoverDisks } from '../../../src/workload/discover-disks.ts'
import { discoverLayers } from '../../../src/workload/discover-layers.ts'
import { discoverVolumes } from '../../../src/workload/discover-volumes.ts'
import type { Mount } from '../../../src/workload/mount-table.ts'

const kernel = { proc: '/proc', sys: '/sys', dev: '/nonexistent' }
const GIB = 2 ** 30

function device(kernelName: string, type: string, majorMinor: string, parents: readonly string[] = [], changes: Partial<BlockDevice> = {}): BlockDevice {
  return { kernelName, name: kernelName, path: `/dev/${kernelName}`, type, majorMinor, sizeBytes: GIB, sectorSizeBytes: 512, removable: false, readOnly: false, parents, ...changes }
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

async function discover(devices: readonly BlockDevice[], mounts: readonly Mount[], runs: readonly ScriptedRun[], live = true): Promise<{ disks: Disk[], volumes: Volume[], layers: Layers, findings: Finding[] }> {
  const findings: Finding[] = []
  const report = (f: Finding): void => { findings.push(f) }
  const runner = new ScriptedRunner(runs)
  const signal = AbortSignal.timeout(10_000)
  const { disks, below } = await discoverDisks({ runner, devices, mounts, live, kernel, report, signal })
  const { layers, names } = await discoverLayers({ runner, devices: below, kernel, report, signal })
  const volumes = await discoverVolumes({ runner, root: '/', devices: below, disks, names, mounts, kernel, report, signal })
  return { disks, volumes, layers, findings }
}

t.test('what the system needs is required; swap and data are not', async t => {
  const devices = [device('sda', 'disk', '8:0'), ...[1, 2, 3, 4, 5].map(n => device(`sda${String(n)}`, 'part', `8:${String(n)}`, ['sda']))]
  const { volumes, findings } = await discover(devices, [mount('/', '8:1'), mount('/boot', '8:2'), mount('/usr', '8:3'), mount('/srv', '8:4')], [
    ...table('sda', ['sda1', 'sda2', 'sda3', 'sda4', 'sda5']), ...['/dev/sda1', '/dev/sda2', '/dev/sda3', '/dev/sda4'].flatMap(ext), blkid('/dev/sda5', 'TYPE=swap\nUUID=s\nVERSION=1\n'),
  ])
  t.same(volumes.map(v => [v.name, v.required, v.unsupportedReason]), [['/', true, undefined], ['/boot', true, undefined], ['/srv', false, undefined], ['/usr', true, undefined], ['swap-s', false, undefined]])
  t.same(findings, [])
})

const lvm = (tool: 'vgs' | 'pvs' | 'lvs', section: string, rows: readonly Record<string, string>[]): ScriptedRun =>
  ({ tool, args: ['--reportformat', 'json', ...tool === 'lvs' ? ['--segments'] : [], '--units', 'b', '--nosuffix', '-o', '<any>'], stdout: JSON.stringify({ report: [{ [section]: rows }] }) })

t.test('LVM on LUKS, RAID and multipath are told with what they lie on', async t => {
  const devices = [
    device('sda', 'disk', '8:0'), device('sda1', 'part', '8:1', ['sda']), device('sda2', 'part', '8:2', ['sda']), device('sdb', 'disk', '8:16'), device('sdb1', 'part', '8:17', ['sdb']),
    device('sdc', 'disk', '8:32'), device('sdd', 'disk', '8:48'),
    device('dm-0', 'crypt', '253:0', ['sda2'], { name: 'sda2_crypt' }), device('dm-1', 'lvm', '253:1', ['dm-0'], { name: 'my--vg-root' }), device('dm-5', 'lvm', '253:5', ['dm-0'], { name: 'my--vg-pool_tmeta' }),
    device('md0', 'raid1', '9:0', ['sda1', 'sdb1']), device('dm-2', 'mpath', '253:2', ['sdc', 'sdd'], { name: 'mpatha' }), device('dm-3', 'part', '253:3', ['dm-2'], { name: 'mpatha1' }),
  ]
  const { disks, volumes, layers, findings } = await discover(devices, [mount('/', '253:1'), mount('/boot', '9:0'), mount('/srv', '253:3')], [
    ...table('sda', ['sda1', 'sda2']), ...table('sdb', ['sdb1']), ...table('mapper/mpatha', ['mapper/mpatha1']), ...['/dev/dm-1', '/dev/md0', '/dev/dm-3'].flatMap(ext),
    blkid('/dev/sda2', 'TYPE=crypto_LUKS\nUUID=luks\nVERSION=2\n'), { tool: 'cryptsetup', args: ['status', '--', 'sda2_crypt'], stdout: '/dev/mapper/sda2_crypt is active and is in use.\n  type:    LUKS2\n  cipher:  aes-xts-plain64\n  keysize: 512 bits\n  device:  /dev/sda2\n' },
    { tool: 'mdadm', args: ['--detail', '--export', '/dev/md0'], stdout: 'MD_LEVEL=raid1\nMD_DEVICES=2\nMD_METADATA=1.2\nMD_UUID=0b:0c:0d:0e\nMD_DEVICE_dev_sda1_ROLE=0\nMD_DEVICE_dev_sda1_DEV=/dev/sda1\n' },
    lvm('vgs', 'vg', [{ vg_name: 'my-vg', vg_uuid: 'G', vg_fmt: 'lvm2', vg_attr: 'wz--n-', vg_extent_size: '4194304', vg_extent_count: '255', vg_free_count: '5', vg_tags: '' }]),
    lvm('pvs', 'pv', [{ pv_name: '/dev/mapper/sda2_crypt', pv_uuid: 'P', vg_uuid: 'G', pv_size: '1069547520', pe_start: '1048576', pv_pe_count: '255', pv_tags: '' }]),
    lvm('lvs', 'seg', [{ vg_uuid: 'G', lv_name: 'root', lv_uuid: 'L', lv_size: '1048576000', lv_attr: '-wi-ao----', lv_tags: 'a,b', segtype: 'linear', stripes: '1', stripe_size: '0', seg_start_pe: '0', seg_size: '1048576000', devices: '/dev/mapper/sda2_crypt(0)', pool_lv: '', origin: '' }]),
  ])
  t.same(findings, [])
  t.same(disks.map(d => [d.name, d.partitions.map(p => p.number)]), [['sda', [1, 2]], ['sdb', [1]], ['mpatha', [1]]], 'paths of a map are no disks')
  t.same(volumes.map(v => [v.name, v.device, v.disk, v.partition, v.on, v.unsupportedReason]), [
    ['/', '/dev/mapper/my--vg-root', 'sda', 2, 'my-vg/root', undefined], ['/boot', '/dev/md0', 'sda', 1, 'md0', undefined], ['/srv', '/dev/mapper/mpatha1', 'mpatha', 1, undefined, undefined],
  ])
  t.match(layers, {
    volumeGroups: [{ name: 'my-vg', physicalVolumes: [{ on: 'sda2_crypt' }], logicalVolumes: [{ name: 'root', tags: ['a', 'b'], segments: [{ on: ['sda2_crypt'], extents: 250 }] }] }],
    arrays: [{ name: 'md0', level: 'raid1', uuid: '0b:0c:0d:0e', members: ['sda1', 'sdb1'] }],
    encryptions: [{ name: 'sda2_crypt', on: 'sda2', type: 'LUKS2', uuid: 'luks', cipher: 'aes-xts-plain64', keyBits: 512 }],
    multipaths: [{ name: 'mpatha', paths: ['sdc', 'sdd'] }],
  })
})

t.test('a BIOS RAID that is partitioned is a disk, its members are none', async t => {
  const devices = [device('sda', 'disk', '8:0'), device('sdb', 'disk', '8:16'), device('md126', 'raid1', '9:126', ['sda', 'sdb']), device('md126p1', 'part', '259:0', ['md126'])]
  const { disks, volumes, layers } = await discover(devices, [mount('/', '259:0')], [...table('md126', ['md126p1']), ...ext('/dev/md126p1')])
  t.same(disks.map(d => d.name), ['md126'])
  t.same(volumes.map(v => [v.name, v.disk, v.partition, v.on, v.unsupportedReason]), [['/', 'md126', 1, undefined, undefined]])
  t.same(layers.arrays, [])
})

t.test('of a btrfs each mounted subvolume is a volume; snapshots stay', async t => {
  const runs = [...table('sda', ['sda1', 'sda2']), blkid('/dev/sda2', 'TYPE=btrfs\nUUID=b\nLABEL=pool\n'), blkid('/dev/sda1', 'TYPE=vfat\nUUID=7A2B-11FE\nVERSION=FAT32\nBLOCK_SIZE=512\n')]
  const recorded = async (name: string, args: readonly string[]): Promise<ScriptedRun> =>
    ({ tool: 'btrfs', args, stdout: await readFile(join(import.meta.dirname, '../../../fixtures/command/btrfs', name, 'stdout'), 'utf8') })
  const flags = (text: string): ScriptedRun => ({ tool: 'lsattr', args: ['-d', '--', '/'], stdout: `${text} /\n` })
  const devices = [device('sda', 'disk', '8:0'), device('sda1', 'part', '8:1', ['sda']), device('sda2', 'part', '8:2', ['sda'])]
  const { volumes, findings } = await discover(devices, [
    mount('/', '8:2', 'btrfs', '/dev/sda2', '/@/.snapshots/1/snapshot'), mount('/.snapshots', '8:2', 'btrfs', '/dev/sda2', '/@/.snapshots'), mount('/home', '8:2', 'btrfs', '/dev/sda2', '/@/home'),
    mount('/var', '8:2', 'btrfs', '/dev/sda2', '/@/var'), mount('/bound', '8:2', 'btrfs', '/dev/sda2', '/@/home/x'), mount('/boot/efi', '8:1', 'vfat', '/dev/sda1'),
  ], [
    ...runs, await recorded('snapper-super', ['inspect-internal', 'dump-super', '/dev/sda2']), await recorded('snapper-df', ['filesystem', 'df', '/']),
    await recorded('snapper-list', ['subvolume', 'list', '/']), await recorded('snapper-default', ['subvolume', 'get-default', '/']),
    flags('----------------------'), flags('----------------------'), flags('----------------------'), flags('---------------C------'),
  ])
  t.same(findings, [])
  t.same(volumes.map(v => [v.name, v.subvolume, v.required, v.unsupportedReason]), [
    ['/', '@/.snapshots/1/snapshot', true, undefined], ['/.snapshots', '@/.snapshots', false, 'snapshots are not copied, nor what snapper knows of them, nor quota groups; its subvolume is made empty'], ['/boot/efi', undefined, true, undefined],
    ['/home', '@/home', false, undefined], ['/var', '@/var', false, undefined],
  ])
  t.match(volumes.find(v => v.name === '/')?.fileSystem, { label: 'pool', blockSizeBytes: 4096, properties: { nodesize: '16384', checksum: 'crc32c', devices: '1', data: 'single', metadata: 'DUP' } })
  t.same(volumes.find(v => v.name === '/')?.fileSystem.subvolumes, [
    { path: '@', default: false, noCow: false }, { path: '@/.snapshots', default: false, noCow: false }, { path: '@/.snapshots/1/snapshot', default: true, noCow: false },
    { path: '@/home', default: false, noCow: false }, { path: '@/var', default: false, noCow: true },
  ])
  t.same(volumes.find(v => v.name === '/')?.fileSystem.unmountedSubvolumes, ['@/odd name', '@/usr/local'])
  t.match(volumes.find(v => v.name === '/boot/efi')?.fileSystem, { type: 'vfat', properties: { fatBits: '32', sectsz: '512' } })
})

t.test('a file system that is not mounted, a locked container and a bind mount are told', async t => {
  const devices = [device('sda', 'disk', '8:0'), ...[1, 2, 3, 4].map(n => device(`sda${String(n)}`, 'part', `8:${String(n)}`, ['sda']))]
  const { volumes } = await discover(devices, [mount('/', '8:1'), mount('/part', '8:4', 'ext4', '/dev/sda4', '/sub')], [
    ...table('sda', ['sda1', 'sda2', 'sda3', 'sda4']), ...['/dev/sda1', '/dev/sda2', '/dev/sda4'].flatMap(ext), blkid('/dev/sda3', 'TYPE=crypto_LUKS\nUUID=l\n'),
  ])
  t.same(volumes.map(v => [v.name, v.unsupportedReason]), [
    ['/', undefined], ['/part', 'only its directory /sub is mounted'], ['sda2', 'it is not mounted: mount it if it is to be migrated'], ['sda3', 'crypto_LUKS file systems cannot be migrated'],
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
  const { names } = await discoverLayers({ runner, devices: below, kernel, report, signal })
  const volumes = await discoverVolumes({ runner, root: '/mnt', devices: below, disks, names, mounts, kernel, report, signal })
  t.same(disks.map(d => [d.name, d.table, d.partitions.length]), [['loop0', 'dos', 3]])
  t.same(volumes.map(v => [v.name, v.fileSystem.type]), [['/', 'ext4'], ['swap-22222222-3333-4444-8555-666666666666', 'swap'], ['loop0p3', 'xfs']])
  t.same(runner.unused(), [])
})
