import t from 'tap'
import { resizeFileSystem } from '../../../src/replica/resize-file-system.ts'
import { recipeFor, whyNotMade } from '../../../src/storage/make-filesystem.ts'
import { ext4, GIB, MIB, volume, xfs } from '../replica/workloads.ts'

const FAT = {
  ...ext4('7A2B-11FE', GIB), type: 'vfat' as const, typeName: 'vfat', label: 'EFI', features: [], properties: { fatBits: '16', sectsz: '512', clusterSectors: '8', reservedSectors: '4', tables: '2', rootEntries: '512' },
}

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

t.test('an ext file system reserves as many blocks for group descriptors as the source has left', async t => {
  const largest = (features: string[], blocks: number, reserved: string): unknown => {
    const { properties, ...rest } = ext4('u', blocks * 4096)
    const recipe = recipeFor(volume('sda', 1, '/', { ...rest, features, properties: { ...properties, reservedGdtBlocks: reserved } }, blocks * 4096), blocks * 4096)
    return recipe.kind === 'ext' ? recipe.options.largestBlockCount : undefined
  }
  t.equal(largest(['resize_inode', '64bit'], 64 * 32768 + 4, '10'), 11 * 64 * 32768 + 1, 'two blocks of descriptors are needed for it')
  t.equal(largest(['resize_inode'], GIB / 4096, '1023'), 1023 * 128 * 32768 + 1)
  t.equal(largest(['resize_inode'], GIB / 4096, '1024'), 2 ** 32 - 1, 'what is larger has no number')
  t.equal(largest(['resize_inode'], GIB / 4096, '0'), undefined)
  t.equal(largest(['64bit'], GIB / 4096, '10'), undefined)
})

t.test('a file system larger than its device is refused before anything is written', async t => {
  t.throws(() => recipeFor(volume('sda', 1, '/', ext4('u', GIB), GIB), GIB - MIB), { code: 'VOLUME_LAYOUT' })
})

t.test('what cannot be made says why', async t => {
  t.match(whyNotMade(volume('sda', 1, '/', { ...ext4('u', GIB), features: ['extent', 'encrypt'] }, GIB)), /encrypt/)
  t.match(whyNotMade(volume('sda', 1, '/', { ...xfs('u', GIB), properties: { log: 'external' } }, GIB)), /log/)
  t.match(whyNotMade(volume('sda', 1, '/', { ...xfs('u', GIB), features: ['crc=1', 'exchange=1', 'parent=1', 'metadir=0'] }, GIB)), /exchange, parent cannot/)
  t.match(whyNotMade(volume('sda', 1, '/', { ...ext4('u', GIB), type: 'unsupported', typeName: 'zfs' }, GIB)), /zfs/)
  t.match(whyNotMade(volume('sda', 1, '/x', { ...FAT, uuid: '' }, GIB)), /serial number/)
  t.match(whyNotMade(volume('sda', 1, '/x', { ...FAT, properties: {} }, GIB)), /allocation table/)
  for (const label of ['twelve chars', ' EFI', 'EFI ', 'A"B', 'A.B', 'Ä', 'A/B']) t.match(whyNotMade(volume('sda', 1, '/x', { ...FAT, label }, GIB)), /label/, label)
  for (const label of ['', 'EFI', 'EFI System', 'A', 'no_case-1']) t.equal(whyNotMade(volume('sda', 1, '/x', { ...FAT, label }, GIB)), undefined, label)
  t.match(whyNotMade(volume('sda', 1, '/x', { ...ext4('u', GIB), type: 'btrfs', typeName: 'btrfs', features: ['no-holes', 'zoned'] }, GIB)), /zoned/)
  t.match(whyNotMade(volume('sda', 1, '/x', { ...ext4('u', GIB), type: 'btrfs', typeName: 'btrfs', features: [], properties: { devices: '2' } }, GIB)), /several devices/)
  t.equal(whyNotMade(volume('sda', 1, '/', ext4('u', GIB), GIB)), undefined)
})

t.test('a FAT is made with the geometry that is known, and a resized one as mkfs chooses', async t => {
  t.same(recipeFor(volume('sda', 1, '/boot/efi', FAT, GIB), GIB), {
    kind: 'fat', recipe: { label: 'EFI', options: { serial: '7A2B11FE', label: 'LANDFALLNEW', sectorSizeBytes: 512, bits: 16, sectorsPerCluster: 8, reservedSectors: 4, tables: 2, rootEntries: 512 } },
  })
  t.same(recipeFor(volume('sda', 1, '/boot/efi', resizeFileSystem(FAT, GIB, 2 * GIB), 2 * GIB), 2 * GIB), {
    kind: 'fat', recipe: { label: 'EFI', options: { serial: '7A2B11FE', label: 'LANDFALLNEW', sectorSizeBytes: 512, bits: 32, tables: 2 } },
  })
})
