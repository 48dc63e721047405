import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import type { Disk, Volume } from '../../../src/domain/volume.ts'
import { checkFstab, parseFstab } from '../../../src/workload/fstab.ts'

const volume: Volume = {
  name: '/', device: '/dev/sda1', mountPoint: '/', mountOptions: 'rw', sizeBytes: 1, disk: 'sda', partition: 1, required: true,
  fileSystem: { type: 'ext4', typeName: 'ext4', uuid: 'AAAA-1', label: 'root', blockSizeBytes: 4096, usedBytes: 0, features: [], inodeSizeBytes: 256, properties: {} },
}
const disk: Disk = {
  name: 'sda', sizeBytes: 2, sectorSizeBytes: 512, table: 'dos', tableId: '0x1', partitions: [{ number: 1, startBytes: 0, sizeBytes: 1, type: '83', uuid: '1badcafe-01', name: 'p', bootable: false }],
}

function check(text: string): Finding[] {
  const findings: Finding[] = []
  checkFstab(parseFstab(text), { volumes: [volume], disks: [disk] }, f => { findings.push(f) })
  return findings
}

t.test('lines are read as mount reads them', t => {
  t.same(parseFstab('# comment\n\nUUID=1 / ext4 errors=remount-ro 0 1\n/dev/sdb1\t/a\\040b xfs\nbroken\n'), [
    { device: 'UUID=1', mountPoint: '/', type: 'ext4', options: ['errors=remount-ro'] },
    { device: '/dev/sdb1', mountPoint: '/a b', type: 'xfs', options: ['defaults'] },
  ])
  t.end()
})

t.test('a line whose device is there is fine, by UUID, label, partition UUID or partition name', t => {
  t.same(check('UUID=aaaa-1 / ext4\nLABEL="root" / ext4\nPARTUUID=1BADCAFE-01 / ext4\nPARTLABEL=p / ext4\n/dev/sdz1 / ext4\nproc /proc proc'), [])
  t.end()
})

t.test('a line whose device is missing is a finding, except when it may be missing', t => {
  t.match(check('UUID=gone /old ext4 defaults 0 2\nUUID=gone2 /a ext4 nofail\nUUID=gone3 /b ext4 noauto,user\n'), [{ code: 'FSTAB_DEVICE_MISSING', subject: '/old' }])
  t.equal(check('UUID=gone /old ext4 defaults').length, 1)
  t.end()
})
