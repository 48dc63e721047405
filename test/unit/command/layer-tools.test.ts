/** Wrappers of tools that tell what lies between disks and volumes. */
import { join } from 'node:path'
import t from 'tap'
import { defaultSubvolume, listSubvolumes, readBtrfsSuperblock, readProfiles } from '../../../src/command/btrfs.ts'
import { readCryptMapping } from '../../../src/command/cryptsetup.ts'
import { isNoCow } from '../../../src/command/lsattr.ts'
import { readArray } from '../../../src/command/mdadm.ts'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')
const signal = AbortSignal.timeout(10_000)
const recorded = async (...cases: string[]): Promise<ScriptedRunner> => ScriptedRunner.open(FIXTURES, cases)
const saying = (tool: string, stdout: string): ScriptedRunner => new ScriptedRunner([{ tool, args: ['<any>', '<any>', '<any>'], stdout }])

t.test('a btrfs tells its nodes, its flags, its subvolumes and its profiles', async t => {
  t.same(await readBtrfsSuperblock(await recorded('btrfs/snapper-super'), '/dev/sda2', signal), {
    label: 'pool', features: ['free-space-tree', 'free-space-tree-valid', 'mixed-backref', 'big-metadata', 'extended-iref', 'skinny-metadata', 'no-holes'],
    properties: { nodesize: '16384', sectorsize: '4096', checksum: 'crc32c', devices: '1' },
  })
  t.same((await listSubvolumes(await recorded('btrfs/snapper-list'), '/mnt/pool', 'all', signal)).map(s => s.path), ['@', '@/home', '@/var', '@/.snapshots', '@/.snapshots/1/snapshot', '@/usr/local', '@/.snapshots/2/snapshot', '@/odd name'])
  t.same(await listSubvolumes(await recorded('btrfs/snapper-snapshots'), '/mnt/pool', 'snapshots', signal), [{ id: 262, path: '@/.snapshots/2/snapshot' }])
  t.equal(await defaultSubvolume(await recorded('btrfs/snapper-default'), '/mnt/pool', signal), '@/.snapshots/1/snapshot')
  t.equal(await defaultSubvolume(saying('btrfs', 'ID 5 (FS_TREE)\n'), '/', signal), '')
  t.same(await readProfiles(await recorded('btrfs/snapper-df'), '/mnt/pool', signal), { data: 'single', metadata: 'DUP' })
  t.same(await readProfiles(saying('btrfs', 'System, single: total=1\nData+Metadata, single: total=1.00MiB, used=1.00KiB\n'), '/', signal), { data: 'single', metadata: 'single' })
  await t.rejects(readBtrfsSuperblock(saying('btrfs', 'ERROR: bad magic on superblock\n'), '/dev/sda2', signal), { code: 'TOOL_OUTPUT' })
})

t.test('an array tells its level and its members', async t => {
  const text = 'MD_LEVEL=raid5\nMD_DEVICES=3\nMD_METADATA=1.2\nMD_UUID=1:2:3:4\nMD_NAME=db01:0\nMD_DEVICE_dev_sdb1_ROLE=1\nMD_DEVICE_dev_sdb1_DEV=/dev/sdb1\nMD_DEVICE_dev_sda1_ROLE=0\nMD_DEVICE_dev_sda1_DEV=/dev/sda1\n'
  t.same(await readArray(saying('mdadm', text), '/dev/md0', signal), { level: 'raid5', metadata: '1.2', uuid: '1:2:3:4', members: ['/dev/sda1', '/dev/sdb1'] })
  await t.rejects(readArray(saying('mdadm', 'mdadm: md device /dev/md0 does not appear to be active.\n'), '/dev/md0', signal), { code: 'TOOL_OUTPUT' })
})

t.test('an unlocked container tells its type and cipher', async t => {
  const text = '/dev/mapper/luks-1 is active and is in use.\n  type:    LUKS1\n  cipher:  aes-xts-plain64\n  keysize: 512 bits\n  key location: dm-crypt\n  device:  /dev/sda3\n  sector size:  512\n  offset:  4096 sectors\n  size:    40888320 sectors\n  mode:    read/write\n'
  t.same(await readCryptMapping(saying('cryptsetup', text), 'luks-1', signal), { type: 'LUKS1', cipher: 'aes-xts-plain64', keyBits: 512, device: '/dev/sda3' })
  await t.rejects(readCryptMapping(saying('cryptsetup', '/dev/mapper/x is active.\n'), 'x', signal), { code: 'TOOL_OUTPUT' })
})

t.test('a directory whose files are not copied on write says so; a C in its name does not', async t => {
  t.equal(await isNoCow(saying('lsattr', '---------------C------ /var\n'), '/var', signal), true)
  t.equal(await isNoCow(saying('lsattr', '---------------------- /Cache\n'), '/Cache', signal), false)
})
