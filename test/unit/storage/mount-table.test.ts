import t from 'tap'
import { parseMounts } from '../../../src/storage/mount-table.ts'

t.test('mountinfo is read with its optional fields and its escapes', async t => {
  const text = '36 35 8:1 / / rw,noatime master:1 - ext4 /dev/sda1 rw\n40 36 0:30 /x /place\\040with\\011blank\\134 rw shared:7 master:2 - tmpfs landfall rw\n41 36 7:1 / /plain rw - xfs /dev/loop1 rw\n'
  t.same(parseMounts(text), [
    { id: 36, device: '8:1', mountPoint: '/', type: 'ext4' }, { id: 40, device: '0:30', mountPoint: '/place with\tblank\\', type: 'tmpfs' }, { id: 41, device: '7:1', mountPoint: '/plain', type: 'xfs' },
  ])
})
