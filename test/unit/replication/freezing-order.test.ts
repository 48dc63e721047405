import t from 'tap'
import { freezingOrder } from '../../../src/replication/freezer.ts'

t.test('each file system is frozen once, the deepest first and the root last; FAT, which cannot be frozen, is left out', async t => {
  const mount = (mountPoint: string, device: string, type = 'ext4'): Parameters<typeof freezingOrder>[0][number] => ({ mountPoint, device, type })
  t.same(freezingOrder([mount('/', '8:2'), mount('/boot', '8:1'), mount('/boot/efi', '8:3', 'vfat'), mount('/srv/www/data', '0:40', 'btrfs'), mount('/srv', '0:40', 'btrfs'), mount('/a/b/c', '8:9')]), ['/a/b/c', '/boot', '/srv', '/'])
})
