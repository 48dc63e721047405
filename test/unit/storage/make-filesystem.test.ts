import t from 'tap'
import { recipeFor, whyNotMade } from '../../../src/storage/make-filesystem.ts'
import { ext4, GIB, MIB, volume, xfs } from '../replica/workloads.ts'

t.test('an ext recipe holds what the source says, and nothing that it does not say', async t => {
  const recipe = recipeFor(volume('sda', 1, '/', ext4('u', GIB, 'root'), GIB), GIB)
  t.match(recipe, { kind: 'ext', options: { uuid: 'u', label: 'root', blockCount: GIB / 4096, inodeCount: GIB / 16384 }, tuning: { label: 'root', errorsBehavior: 'continue', defaultMountOptions: ['user_xattr', 'acl'], maximumMountCount: -1 } })
  t.notOk('journalSizeMiB' in (recipe.kind === 'ext' ? recipe.options : {}))
})

t.test('features that a source\'s tools do not know are switched off for XFS', async t => {
  const recipe = recipeFor(volume('sda', 1, '/d', { ...xfs('u', GIB), features: ['crc=1', 'finobt=1'] }, GIB), GIB)
  t.match(recipe, { kind: 'xfs', options: { metadata: ['crc=1', 'finobt=1', 'rmapbt=0', 'reflink=0', 'bigtime=0', 'inobtcount=0'], inode: ['sparse=0', 'nrext64=0', 'maxpct=25'] } })
})

t.test('an XFS of version 4 is made as one', async t => {
  const recipe = recipeFor(volume('sda', 1, '/d', { ...xfs('u', GIB), features: ['crc=0', 'finobt=0', 'attr=2', 'projid32bit=0', 'ftype=0', 'lazy-count=1'] }, GIB), GIB)
  t.match(recipe, { options: { metadata: ['crc=0', 'finobt=0', 'reflink=0'], inode: ['attr=2', 'projid32bit=0', 'maxpct=25'], naming: ['version=2', 'ftype=0'] } })
})

t.test('a file system larger than its device is refused before anything is written', async t => {
  t.throws(() => recipeFor(volume('sda', 1, '/', ext4('u', GIB), GIB), GIB - MIB), { code: 'VOLUME_LAYOUT' })
})

t.test('what cannot be made says why', async t => {
  t.match(whyNotMade(volume('sda', 1, '/', { ...ext4('u', GIB), features: ['extent', 'encrypt'] }, GIB)), /encrypt/)
  t.match(whyNotMade(volume('sda', 1, '/', { ...xfs('u', GIB), properties: { log: 'external' } }, GIB)), /log/)
  t.match(whyNotMade(volume('sda', 1, '/', { ...ext4('u', GIB), type: 'vfat', typeName: 'vfat' }, GIB)), /vfat/)
  t.match(whyNotMade(volume('sda', 1, '/x', { ...ext4('u', GIB), type: 'btrfs', typeName: 'btrfs', features: ['no-holes', 'zoned'] }, GIB)), /zoned/)
  t.match(whyNotMade(volume('sda', 1, '/x', { ...ext4('u', GIB), type: 'btrfs', typeName: 'btrfs', features: [], properties: { devices: '2' } }, GIB)), /several devices/)
  t.equal(whyNotMade(volume('sda', 1, '/', ext4('u', GIB), GIB)), undefined)
})
