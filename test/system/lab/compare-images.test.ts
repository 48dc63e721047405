import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkFileSystems, compareImages, pairVolumes } from '../../lab/full/compare-images.ts'
import { checkGroups, fileSystemsOf } from '../../lab/full/image-places.ts'
import { withLoops } from '../../lab/places.ts'
import type { ImageVolume } from '../../lab/image/guest-image.ts'
import { createRunDirectory, sweep, type RunDirectory } from '../../lab/run-directory.ts'
import { tool } from '../../lab/tool.ts'

const MIB = 2 ** 20
const UUID = { ext4: '5a7b0000-1ab0-4000-8000-0000000000e1', btrfs: '5a7b0000-1ab0-4000-8000-0000000000e2', xfs: '5a7b0000-1ab0-4000-8000-0000000000e3', vfat: '5A7B-00E4' }
const MAKE = { ext4: ['mkfs.ext4', '-q', '-F', '-U', UUID.ext4], btrfs: ['mkfs.btrfs', '-q', '-f', '-U', UUID.btrfs], xfs: ['mkfs.xfs', '-q', '-f', '-m', `uuid=${UUID.xfs}`], vfat: ['mkfs.vfat', '-F', '32', '-i', UUID.vfat.replace('-', '')] }

/** Two partitions and two disks without a table, each with a file system that holds the same; the second place of the table may be another one than on the other side. */
async function disks(run: RunDirectory, name: string, order: readonly ('ext4' | 'xfs')[], text: string): Promise<{ directory: string, files: string[], volumes: ImageVolume[] }> {
  const directory = join(run.path, name)
  await mkdir(directory)
  const files = ['a.img', 'b.img', 'c.img'].map(file => join(directory, file))
  await tool('truncate', ['-s', '720M', ...files])
  await tool('sfdisk', ['-q', files[0] ?? ''], { input: 'label: gpt\nstart=1MiB, size=340MiB\nsize=340MiB\n' })
  const volumes: ImageVolume[] = [
    ...order.map((type, i) => ({ mountPoint: `/${type}`, image: 'a.img', offsetBytes: (1 + i * 340) * MIB, sizeBytes: 340 * MIB, type })),
    { mountPoint: '/btrfs', image: 'b.img', offsetBytes: 0, sizeBytes: 720 * MIB, type: 'btrfs' },
    { mountPoint: '/boot/efi', image: 'c.img', offsetBytes: 0, sizeBytes: 720 * MIB, type: 'vfat' },
  ]
  const view = join(run.path, 'fill')
  await mkdir(view, { recursive: true })
  for (const volume of volumes) {
    await withLoops([{ ...volume, file: join(directory, volume.image) }], async ([device = '']) => {
      const [program = '', ...args] = MAKE[volume.type]
      await tool(program, [...args, device])
      if (volume.type === 'vfat') {
        await writeFile(join(run.path, 'plain'), `${volume.type} ${text}`)
        await tool('touch', ['-d', '2001-02-03 04:05:06', join(run.path, 'plain')])
        await tool('mmd', ['-i', device, '::/EFI'])
        await tool('mcopy', ['-m', '-i', device, join(run.path, 'plain'), '::/EFI/plain'])
        return
      }
      await tool('mount', [device, view])
      await writeFile(join(view, 'plain'), `${volume.type} ${text}`)
      await tool('touch', ['-d', '2001-02-03 04:05:06', join(view, 'plain'), view])
      await tool('umount', [view])
    })
  }
  return { directory, files, volumes }
}

async function newRun(t: Test): Promise<RunDirectory> {
  const run = await createRunDirectory()
  t.teardown(async () => { await sweep(run) })
  return run
}

t.test('volumes are found by their UUID wherever they lie, and what differs is told', async (t) => {
  const run = await newRun(t)
  const source = await disks(run, 'source', ['ext4', 'xfs'], 'one')
  const same = await disks(run, 'same', ['xfs', 'ext4'], 'one')
  const other = await disks(run, 'other', ['ext4', 'xfs'], 'two')
  const pairs = await pairVolumes(source.directory, source.volumes, same.files)
  t.strictSame(pairs.map(p => [p.volume.mountPoint, p.replica.file.endsWith(p.volume.image), p.replica.offsetBytes]), [['/ext4', true, 341 * MIB], ['/xfs', true, MIB], ['/btrfs', true, 0], ['/boot/efi', true, 0]])
  const equal = await compareImages(run, pairs, [])
  t.strictSame(equal.differences, [])
  t.ok(equal.equal)
  t.ok((await checkFileSystems(pairs)).every(check => check.clean))
  const otherPairs = await pairVolumes(source.directory, source.volumes, other.files)
  const unequal = await compareImages(run, otherPairs, ['/xfs/plain'])
  t.notOk(unequal.equal)
  t.strictSame([...new Set(unequal.differences.map(d => d.path))].sort(), ['/boot/efi/EFI/plain', '/btrfs/plain', '/ext4/plain'])
  t.ok(unequal.fixups.some(d => d.path === '/xfs/plain'), 'what was changed on purpose is no difference')
  await t.rejects(pairVolumes(source.directory, source.volumes, [same.files[1] ?? '']), /no ext4 with the UUID of \/ext4/)
})

t.test('a damaged file system is told', async (t) => {
  const run = await newRun(t)
  const source = await disks(run, 'source', ['ext4', 'xfs'], 'one')
  // the ext4's first group descriptors
  await tool('dd', ['if=/dev/urandom', `of=${source.files[0] ?? ''}`, 'bs=4096', `seek=${String(MIB / 4096 + 1)}`, 'count=1', 'conv=notrunc', 'status=none'])
  const checks = await checkFileSystems(await pairVolumes(source.directory, source.volumes, source.files))
  t.strictSame(checks.map(c => [c.mountPoint, c.clean]), [['/ext4', false], ['/xfs', true], ['/btrfs', true], ['/boot/efi', true]])
})

t.test('logical volumes are found in their group, which is checked', async (t) => {
  const run = await newRun(t)
  const file = join(run.path, 'lvm.img')
  await tool('truncate', ['-s', '256M', file])
  await tool('sfdisk', ['-q', file], { input: 'label: dos\nstart=1MiB, type=8e\n' })
  const place = { file, offsetBytes: MIB, sizeBytes: 255 * MIB }
  const config = (device: string): string[] => ['--driverloaded', 'n', '--config', `devices{scan_lvs=0 use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source="none" filter=["a|^${device}$|","r|.*|"]} backup{backup=0 archive=0} activation{udev_sync=0 udev_rules=0 monitoring=0}`]
  await withLoops([place], async ([device = '']) => {
    await tool('pvcreate', [...config(device), '-q', '-ff', '-y', device])
    await tool('vgcreate', [...config(device), '-q', 'vg-lab', device])
    for (const name of ['first', 'second']) await tool('lvcreate', [...config(device), '-q', '-an', '-Zn', '-Wn', '-y', '-L', '64M', '-n', name, 'vg-lab'])
  })
  // the second volume begins 64 MiB behind the first one, which begins 1 MiB into the physical volume
  await withLoops([{ file, offsetBytes: MIB + MIB + 64 * MIB, sizeBytes: 64 * MIB }], async ([device = '']) => { await tool('mkfs.ext4', ['-q', '-F', '-U', UUID.ext4, device]) })
  const found = (await fileSystemsOf([file])).find(f => f.uuid === UUID.ext4)
  t.match(found, { type: 'ext4', offsetBytes: 66 * MIB, sizeBytes: 64 * MIB })
  t.strictSame(await checkGroups([file]), { groups: 1, complaints: '' })
})
