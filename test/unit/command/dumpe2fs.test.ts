import { join } from 'node:path'
import t from 'tap'
import { readExtSuperblock } from '../../../src/command/dumpe2fs.ts'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')
const signal = AbortSignal.timeout(10_000)

function answering(stdout: string): ScriptedRunner {
  return new ScriptedRunner([{ tool: 'dumpe2fs', args: ['-h', '/dev/sda1'], stdout }])
}

const OLD = `Filesystem volume name:   <none>
Filesystem UUID:          11111111-2222-4333-8444-555555555555
Filesystem features:      has_journal filetype
Default mount options:    (none)
Errors behavior:          Remount read-only
Inode count:              1000
Block count:              4000
Block size:               4096
`

t.test('all that a replica needs of an ext4 is read', async t => {
  t.same(await readExtSuperblock(await ScriptedRunner.open(FIXTURES, ['dumpe2fs/ext4-mounted']), '/dev/loop0p1', signal), {
    uuid: '11111111-2222-4333-8444-555555555555', label: 'rootfs', blockSizeBytes: 1024, inodeSizeBytes: 256,
    features: ['has_journal', 'ext_attr', 'resize_inode', 'dir_index', 'filetype', 'extent', '64bit', 'flex_bg', 'sparse_super', 'large_file',
      'huge_file', 'dir_nlink', 'extra_isize', 'metadata_csum'],
    properties: {
      inodeCount: '76912', blockCount: '307200', reservedBlockCount: '15360', inodesPerGroup: '2024', blocksPerGroup: '8192',
      reservedGdtBlocks: '256', flexBlockGroupSize: '16', groupDescriptorSize: '64', hashSeed: '95de8654-17b5-4771-8c1e-ab0c08b178c3',
      directoryHash: 'half_md4', maximumMountCount: '-1', state: 'clean', defaultMountOptions: 'user_xattr acl', journalSizeBytes: '8388608',
      errorsBehavior: 'continue', checkIntervalSeconds: '0',
    },
  })
})

t.test('an old superblock without label, options, inode size and journal blocks is read', async t => {
  const found = await readExtSuperblock(answering(`${OLD}Journal size:             128M\n`), '/dev/sda1', signal)
  t.match(found, { label: '', inodeSizeBytes: 128, properties: { defaultMountOptions: '', journalSizeBytes: '134217728', errorsBehavior: 'remount-ro' } })
})

t.test('the exact journal length wins over the rounded size', async t => {
  const found = await readExtSuperblock(answering(`${OLD}Journal size:             5M\nJournal length:           1025\n`), '/dev/sda1', signal)
  t.equal(found.properties['journalSizeBytes'], String(1025 * 4096))
})

t.test('the stripes that it is aligned to are read', async t => {
  const found = await readExtSuperblock(answering(`${OLD}RAID stride:              16\nRAID stripe width:        64\n`), '/dev/sda1', signal)
  t.match(found, { properties: { raidStride: '16', raidStripeWidth: '64' } })
})

t.test('a device without an ext file system is TOOL_FAILED', async t => {
  await t.rejects(readExtSuperblock(await ScriptedRunner.open(FIXTURES, ['dumpe2fs/not-ext']), '/dev/loop0p2', signal), { code: 'TOOL_FAILED' })
})

t.test('missing or senseless lines are TOOL_OUTPUT', async t => {
  await t.rejects(readExtSuperblock(answering(OLD.replace('Block size', 'Bloc size')), '/dev/sda1', signal), { code: 'TOOL_OUTPUT' })
  await t.rejects(readExtSuperblock(answering(OLD.replace('4096', 'many')), '/dev/sda1', signal), { code: 'TOOL_OUTPUT' })
})
