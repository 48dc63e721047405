import { join } from 'node:path'
import t from 'tap'
import { mountHolding, mountsApartFrom, parseMounts } from '../../../src/posix/mount-table.ts'

t.test('mountinfo is read with its optional fields and its escapes', async t => {
  const text = '36 35 8:1 / / rw,noatime master:1 - ext4 /dev/sda1 rw\n40 36 0:30 /x /place\\040with\\011blank\\134 rw shared:7 master:2 - tmpfs landfall rw\n41 36 7:1 / /plain rw - xfs /dev/loop1 rw\n'
  t.same(parseMounts(text), [
    { id: 36, device: '8:1', root: '/', mountPoint: '/', type: 'ext4', source: '/dev/sda1' }, { id: 40, device: '0:30', root: '/x', mountPoint: '/place with\tblank\\', type: 'tmpfs', source: 'landfall' }, { id: 41, device: '7:1', root: '/', mountPoint: '/plain', type: 'xfs', source: '/dev/loop1' },
  ])
})

t.test('programs in a root have nothing to do with the other disks, and something with the system\'s own', async t => {
  const file = join(t.testdir({
    mountinfo: [
      '20 1 254:0 / / rw - ext4 /dev/vda rw', '21 20 0:5 / /dev rw - devtmpfs dev rw', '22 20 254:0 /x /bound rw - ext4 /dev/vda rw',
      '23 20 0:40 / /state/replicas/j rw - tmpfs base rw', '24 23 7:3 / /state/replicas/j/volume-0 rw - ext4 /dev/loop0p3 rw', '25 23 7:3 / /state/replicas/j/root rw - ext4 /dev/loop0p3 rw',
      '26 25 7:2 / /state/replicas/j/root/boot rw - ext4 /dev/loop0p2 rw', '27 20 8:17 / /state/replicas/other/volume-0 rw - xfs /dev/sdb1 rw',
      '28 20 0:50 / /pool\\040one rw - btrfs /dev/sdc rw', '29 20 7:9 / /state/replicas/j/root-beside rw - ext4 /dev/loop9 rw', '',
    ].join('\n'),
  }), 'mountinfo')
  t.same(await mountsApartFrom('/state/replicas/j/root', file), ['/state/replicas/j/volume-0', '/state/replicas/other/volume-0', '/pool one', '/state/replicas/j/root-beside'])
})

t.test('a path lies on the file system that is mounted nearest above it, the last one on top', async t => {
  const mounts = parseMounts([
    '22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw', '23 22 8:2 / /var/lib rw - xfs /dev/sdb rw', String.raw`24 22 8:3 / /with\040space rw - ext4 /dev/sdc rw`,
    '25 22 0:40 /@ /sub rw - btrfs /dev/sdd rw', '26 22 0:40 /@/below /sub/below rw - btrfs /dev/sdd rw', '27 23 8:9 / /var/lib rw - ext4 /dev/sde rw', '',
  ].join('\n'))
  for (const [path, device] of [
    ['/', '8:1'], ['/var', '8:1'], ['/var/libx', '8:1'], ['/var/lib', '8:9'], ['/var/lib/queue', '8:9'], ['/with space/q', '8:3'], ['/sub/x', '0:40'], ['/sub/below/q', '0:40'],
  ] as const) t.equal(mountHolding(mounts, path)?.device, device, path)
})
