/** Described sources for tests; made by hand, as Debian's installer would leave them. */
import type { JobOptions } from '../../../src/domain/job.ts'
import type { Places } from '../../../src/domain/target.ts'
import type { FileSystem, Volume } from '../../../src/domain/volume.ts'
import type { Workload } from '../../../src/domain/workload.ts'

export const MIB = 1 << 20
export const GIB = 2 ** 30
export const EXT_FEATURES = 'has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file dir_nlink extra_isize metadata_csum'.split(' ')

export function ext4(uuid: string, sizeBytes: number, label = ''): FileSystem {
  return {
    type: 'ext4', typeName: 'ext4', uuid, label, blockSizeBytes: 4096, usedBytes: sizeBytes / 4, features: EXT_FEATURES, inodeSizeBytes: 256,
    properties: { inodeCount: String(sizeBytes / 16384), blockCount: String(sizeBytes / 4096), reservedBlockCount: String(Math.floor(sizeBytes / 4096 / 20)), errorsBehavior: 'continue', defaultMountOptions: 'user_xattr acl' },
  }
}

export function xfs(uuid: string, sizeBytes: number): FileSystem {
  return {
    type: 'xfs', typeName: 'xfs', uuid, label: '', blockSizeBytes: 4096, usedBytes: sizeBytes / 4, features: ['crc=1', 'finobt=1', 'sparse=1', 'rmapbt=0', 'reflink=1', 'ftype=1'], inodeSizeBytes: 512,
    properties: { agcount: '4', agsize: String(sizeBytes / 4096 / 4), blocks: String(sizeBytes / 4096), sectsz: '512', imaxpct: '25', log: 'internal', 'log-blocks': '16384', rtextents: '0' },
  }
}

export function swap(uuid: string): FileSystem {
  return { type: 'swap', typeName: 'swap', uuid, label: '', blockSizeBytes: 0, usedBytes: 0, features: [], inodeSizeBytes: 0, properties: { pageSizeBytes: '4096', version: '1' } }
}

export function volume(disk: string, partition: number, mountPoint: string | undefined, fileSystem: FileSystem, sizeBytes: number): Volume {
  const device = `/dev/${disk}${partition === 0 ? '' : `${/\d$/.test(disk) ? 'p' : ''}${String(partition)}`}`
  return {
    name: mountPoint ?? `swap-${fileSystem.uuid}`, device, ...(mountPoint === undefined ? {} : { mountPoint }), mountOptions: mountPoint === undefined ? '' : 'rw,relatime', sizeBytes, fileSystem,
    disk, partition, required: mountPoint === '/' || mountPoint === '/boot',
  }
}

/** Debian 12 on MBR: /boot, root and swap (logical) on vda, an XFS on a GPT on vdb, two adapters. */
export function debian12(): Workload {
  return {
    version: 1, hostName: 'alder', machineId: '4c4c4544003957108052b4c04f384833',
    os: { id: 'debian', idLike: [], versionId: '12', prettyName: 'Debian GNU/Linux 12 (bookworm)', architecture: 'x86_64' }, firmware: 'bios',
    cpu: { sockets: 1, coresPerSocket: 4, model: 'Test CPU' }, memoryBytes: 2 * GIB - 5 * MIB,
    disks: [
      { name: 'vdb', sizeBytes: 4 * GIB, sectorSizeBytes: 512, table: 'gpt', tableId: '0B1C2D3E-0000-4000-8000-00000000000B', partitions: [
        { number: 1, startBytes: MIB, sizeBytes: 4 * GIB - 2 * MIB, type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4', uuid: '0B1C2D3E-0000-4000-8000-000000000001', name: 'data', bootable: false },
      ] },
      { name: 'vda', sizeBytes: 8 * GIB, sectorSizeBytes: 512, table: 'dos', tableId: '0x1badb002', partitions: [
        { number: 1, startBytes: MIB, sizeBytes: 512 * MIB, type: '83', uuid: '1badb002-01', name: '', bootable: true },
        { number: 2, startBytes: 513 * MIB, sizeBytes: 6 * GIB, type: '83', uuid: '1badb002-02', name: '', bootable: false },
        { number: 3, startBytes: 513 * MIB + 6 * GIB, sizeBytes: GIB, type: '05', uuid: '1badb002-03', name: '', bootable: false },
        { number: 5, startBytes: 514 * MIB + 6 * GIB, sizeBytes: 1000 * MIB, type: '82', uuid: '1badb002-05', name: '', bootable: false },
      ] },
    ],
    volumes: [
      volume('vdb', 1, '/srv/data', xfs('dd000000-0000-4000-8000-000000000004', 4 * GIB - 2 * MIB), 4 * GIB - 2 * MIB),
      volume('vda', 5, undefined, swap('dd000000-0000-4000-8000-000000000003'), 1000 * MIB),
      volume('vda', 2, '/', ext4('dd000000-0000-4000-8000-000000000002', 6 * GIB, 'root'), 6 * GIB),
      volume('vda', 1, '/boot', ext4('dd000000-0000-4000-8000-000000000001', 512 * MIB), 512 * MIB),
    ],
    adapters: [
      { name: 'ens3', macAddress: '52:54:00:12:34:56', mtu: 1500, addresses: [{ family: 'inet', address: '192.0.2.10', prefixLength: 24 }] },
      { name: 'ens4', macAddress: '52:54:00:12:34:57', mtu: 1500, addresses: [] },
    ],
    routes: [{ destination: 'default', gateway: '192.0.2.1', adapter: 'ens3' }], dns: { servers: ['192.0.2.1'], search: [] },
    boot: {
      loader: 'grub2', bootDisks: ['vda'], commandLine: 'root=UUID=dd000000-0000-4000-8000-000000000002 ro quiet', initramfsTool: 'initramfs-tools',
      kernels: [{ version: '6.1.0-40-amd64', imagePath: '/boot/vmlinuz-6.1.0-40-amd64', initramfsPath: '/boot/initrd.img-6.1.0-40-amd64', drivers: ['vmw_pvscsi', 'mptspi', 'ahci', 'sd_mod', 'vmxnet3', 'e1000', 'e1000e'], running: true }],
    },
    capture: { tier: 'A', reason: '', unseen: [] }, findings: [],
  }
}

export function options(change: Partial<JobOptions> = {}): JobOptions {
  return {
    volumes: [], datastore: 'store1', vmName: 'alder', networks: [], defaultNetwork: 'VM Network', diskFormat: 'thin', compare: 'none', rules: [], orphans: 'delete', cutover: 'manual', shutDownSource: true,
    autoRemirror: 'attributes', bandwidthSchedule: [], compression: 'off', ignoreDeletes: false, ...change,
  }
}

export function places(change: Partial<Places> = {}): Places {
  return {
    product: 'VMware ESXi 8.0.2', apiVersion: '8.0.2.0', datacenter: 'dc1', host: 'esx1', hostConnected: true, maintenance: false, applianceVm: 'landfall',
    datastores: [{ name: 'store1', id: 'datastore-1', capacityBytes: 100 * GIB, freeBytes: 50 * GIB, maxFileBytes: 62 * 1024 * GIB, accessible: true }],
    networks: [{ name: 'VM Network', id: 'network-1', kind: 'standard' }, { name: 'isolated', id: 'network-2', kind: 'standard' }], vmNames: ['landfall', 'other'], ...change,
  }
}
