import t from 'tap'
import { deviceOf } from '../../../src/capture/disk-queue.ts'
import { parseMounts } from '../../../src/posix/mount-table.ts'

t.test('a path lies on the file system that is mounted nearest above it, the last one on top', async t => {
  const mounts = parseMounts([
    '22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw', '23 22 8:2 / /var/lib rw - xfs /dev/sdb rw', String.raw`24 22 8:3 / /with\040space rw - ext4 /dev/sdc rw`,
    '25 22 0:40 /@ /sub rw - btrfs /dev/sdd rw', '26 22 0:40 /@/below /sub/below rw - btrfs /dev/sdd rw', '27 23 8:9 / /var/lib rw - ext4 /dev/sde rw', '',
  ].join('\n'))
  for (const [path, device] of [
    ['/', '8:1'], ['/var', '8:1'], ['/var/libx', '8:1'], ['/var/lib', '8:9'], ['/var/lib/queue', '8:9'], ['/with space/q', '8:3'], ['/sub/x', '0:40'], ['/sub/below/q', '0:40'],
  ] as const) t.equal(deviceOf(mounts, path), device, path)
})
