import t from 'tap'
import { compareMounts } from '../../../src/source/compare-mounts.ts'
import type { Mount } from '../../../src/workload/mount-table.ts'

const mount = (hostPath: string, majorMinor: string, more: Partial<Mount> = {}): Mount => ({
  mountPoint: hostPath, hostPath, majorMinor, fileSystemRoot: '/', type: 'ext4', source: `/dev/sd${majorMinor}`, options: 'rw', ...more,
})
const volumes = new Map([[0, '/'], [1, '/srv']])
const before = [mount('/', '8:1'), mount('/srv', '8:2'), mount('/srv/inner', '8:1', { fileSystemRoot: '/x' })]

void t.test('a mount that came or went is a change of the innermost volume around it', async t => {
  const after = [mount('/', '8:1'), mount('/srv', '8:2'), mount('/mnt/usb', '8:3')]
  t.same(compareMounts({ volumes, mounts: before }, { volumes, mounts: after }).changed, [
    { volume: 1, path: 'inner', subject: '/srv/inner' }, { volume: 0, path: 'mnt/usb', subject: '/mnt/usb' },
  ])
})

void t.test('a file system on a device that was not there before is new, once; others are not', async t => {
  const after = [...before, mount('/mnt/usb', '8:3'), mount('/mnt/again', '8:3'), mount('/run/x', '0:40', { source: 'tmpfs', type: 'tmpfs' }), mount('/bind', '8:2', { fileSystemRoot: '/d' })]
  t.same(compareMounts({ volumes, mounts: before }, { volumes, mounts: after }).added.map(({ mountPoint }) => mountPoint), ['/mnt/usb'])
})

void t.test('what is mounted over the root of a volume is no change below it, and beside all volumes none at all', async t => {
  const after = [...before, mount('/srv', '8:9')]
  t.same(compareMounts({ volumes, mounts: before }, { volumes, mounts: after }).changed, [])
  t.same(compareMounts({ volumes: new Map([[1, '/srv']]), mounts: before }, { volumes: new Map([[1, '/srv']]), mounts: [...before, mount('/mnt', '8:4')] }).changed, [])
})
