/** A small Debian server: one disk with MBR, root on ext4, swap, one network adapter. */
import type { JobOptions } from '../../src/domain/job.ts'
import type { Volume } from '../../src/domain/volume.ts'
import { Workload } from '../../src/domain/workload.ts'

const GIB = 2 ** 30

const fileSystem = (type: 'ext4' | 'swap', uuid: string): Volume['fileSystem'] => ({
  type, typeName: type, uuid, label: '', blockSizeBytes: 4096, usedBytes: type === 'swap' ? 0 : GIB, inodeSizeBytes: 256,
  features: type === 'swap' ? [] : ['has_journal', 'extent'], properties: {},
})

export const WORKLOAD = Workload.parse({
  version: 1, hostName: 'shop', machineId: '0123456789abcdef0123456789abcdef',
  os: { id: 'debian', idLike: [], versionId: '12', prettyName: 'Debian GNU/Linux 12', architecture: 'x86_64' },
  firmware: 'bios', cpu: { sockets: 1, coresPerSocket: 2, model: 'x' }, memoryBytes: 2 * GIB,
  disks: [{
    name: 'vda', sizeBytes: 20 * GIB, sectorSizeBytes: 512, table: 'dos', tableId: '0x12345678',
    partitions: [
      { number: 1, startBytes: 2 ** 20, sizeBytes: 18 * GIB, type: '83', uuid: '12345678-01', name: '', bootable: true },
      { number: 2, startBytes: 2 ** 20 + 18 * GIB, sizeBytes: GIB, type: '82', uuid: '12345678-02', name: '', bootable: false },
    ],
  }],
  volumes: [
    { name: '/', device: '/dev/vda1', mountPoint: '/', mountOptions: 'rw', sizeBytes: 18 * GIB, fileSystem: fileSystem('ext4', '11111111-1111-4111-8111-111111111111'), disk: 'vda', partition: 1, required: true },
    { name: 'swap-2', device: '/dev/vda2', mountOptions: '', sizeBytes: GIB, fileSystem: fileSystem('swap', '22222222-2222-4222-8222-222222222222'), disk: 'vda', partition: 2, required: false },
  ],
  adapters: [{ name: 'ens3', macAddress: '52:54:00:00:00:01', mtu: 1500, addresses: [] }], routes: [], dns: { servers: [], search: [] },
  boot: {
    loader: 'grub2', bootDisks: ['vda'], commandLine: 'root=UUID=11111111-1111-4111-8111-111111111111', initramfsTool: 'initramfs-tools',
    kernels: [{ version: '6.1.0', imagePath: '/boot/vmlinuz-6.1.0', initramfsPath: '/boot/initrd.img-6.1.0', drivers: ['vmw_pvscsi', 'vmxnet3', 'mptspi', 'e1000', 'e1000e', 'ahci', 'sd_mod'], running: true }],
  },
  capture: { tier: 'A', reason: '', unseen: [] }, findings: [],
})

export const OPTIONS: JobOptions = {
  volumes: [], datastore: 'ds1', vmName: 'shop-replica', networks: [], defaultNetwork: 'VM Network', diskFormat: 'thin', compare: 'none', rules: [], orphans: 'delete', cutover: 'manual', shutDownSource: true,
  autoRemirror: 'attributes', bandwidthSchedule: [], compression: 'off', ignoreDeletes: false,
}
