import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { mountsBelow, readMounts, unescapeOctal } from '../../../src/workload/mount-table.ts'

const unexpected = (f: Finding): void => { throw new Error(f.message) }

const MOUNTINFO = `22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid shared:5 - proc proc rw
24 22 8:2 / /srv/a\\040b rw - xfs /dev/sda2 rw,noquota
25 22 8:16 / /mnt/src rw,relatime shared:1 master:2 - ext4 /dev/sdb rw
26 25 8:17 /sub /mnt/src/data ro,noatime - ext4 /dev/sdb1 rw
27 22 8:18 / /mnt/srcother rw - ext4 /dev/sdb2 rw
`

t.test('of a live source every mount is seen, with blanks in names and the options of mount and file system', t => {
  const mounts = mountsBelow(MOUNTINFO, '/', unexpected)
  t.same(mounts.map(m => m.mountPoint), ['/', '/mnt/src', '/mnt/src/data', '/mnt/srcother', '/proc', '/srv/a b'])
  t.match(mounts[0], { hostPath: '/', majorMinor: '8:1', fileSystemRoot: '/', type: 'ext4', source: '/dev/sda1', options: 'rw,relatime,errors=remount-ro' })
  t.end()
})

t.test('of a mounted tree only what is at or below it is seen, by the names of the source', t => {
  const mounts = mountsBelow(MOUNTINFO, '/mnt/src', unexpected)
  t.same(mounts.map(m => [m.mountPoint, m.hostPath, m.fileSystemRoot]), [['/', '/mnt/src', '/'], ['/data', '/mnt/src/data', '/sub']])
  t.end()
})

t.test('a read-only mount of a writable file system is read-only', t => {
  t.equal(mountsBelow(MOUNTINFO, '/mnt/src', unexpected)[1]?.options, 'ro,noatime')
  t.end()
})

t.test('of mounts over each other the last one counts', t => {
  const mounts = mountsBelow(`${MOUNTINFO}30 22 9:0 / / rw - xfs /dev/md0 rw\n`, '/', unexpected)
  t.match(mounts[0], { mountPoint: '/', type: 'xfs' })
  t.end()
})

t.test('senseless lines are skipped', t => {
  t.same(mountsBelow('\n1 2 3\n- - -\nx y z / /mnt - \n', '/', unexpected), [])
  t.end()
})

t.test('a mount point that is no UTF-8 is a finding', t => {
  const findings: Finding[] = []
  t.same(mountsBelow('24 22 8:2 / /srv/\uFFFD rw - xfs /dev/sda2 rw\n', '/', f => { findings.push(f) }), [])
  t.match(findings, [{ code: 'MOUNT_POINT_NAME' }])
  t.end()
})

t.test('a missing /proc is a finding', async t => {
  const findings: Finding[] = []
  t.same(await readMounts(t.testdir({}), '/', f => { findings.push(f) }), [])
  t.match(findings, [{ code: 'DISCOVERY_INCOMPLETE', subject: 'mounts' }])
})

t.test('octal escapes stand for blank, tab, newline and backslash', t => {
  t.equal(unescapeOctal('a\\040b\\011c\\012d\\134e'), 'a b\tc\nd\\e')
  t.end()
})
