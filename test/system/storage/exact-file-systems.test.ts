/** A file system made from a description has the features and the geometry of the one that was described. Asked of dumpe2fs, xfs_info and the checkers. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readExtSuperblock } from '../../../src/command/dumpe2fs.ts'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { checkExt, checkXfs } from '../../../src/command/fsck.ts'
import { readXfsGeometry } from '../../../src/command/xfs-info.ts'
import type { FileSystem, Volume } from '../../../src/domain/volume.ts'
import { holdsFileSystem, makeFileSystem } from '../../../src/storage/make-filesystem.ts'
import { makeLoopDisks, noLoopDisks } from '../../contract/loop-disks.ts'
import { volume } from '../../unit/replica/workloads.ts'

const MIB = 1 << 20
const runner = new ExecaRunner()
const signal = AbortSignal.timeout(300_000)

/** How a source may have been made: mke2fs of other times and choices. */
interface ExtSource { make: readonly string[], tune?: readonly string[], grownFrom?: string }
const EXT: Record<string, ExtSource> = {
  'ext4 of Debian 12': { make: ['-t', 'ext4', '-L', 'root'] },
  'ext4 of RHEL 7, without checksums and 64bit': { make: ['-t', 'ext4', '-O', '^metadata_csum,^64bit', '-m', '3'] },
  'ext4 with later features': { make: ['-t', 'ext4', '-O', 'orphan_file,metadata_csum_seed,quota,project,large_dir,inline_data', '-L', 'sixteen-bytes-ab'] },
  'ext3 with small inodes': { make: ['-t', 'ext3', '-I', '128', '-b', '1024', '-N', '20000', '-J', 'size=8', '-e', 'panic'] },
  'ext2 with blocks of 2 KiB and no reserve': { make: ['-t', 'ext2', '-b', '2048', '-m', '0'] },
  'ext4 without default mount options': { make: ['-t', 'ext4'], tune: ['-o', '^acl,^user_xattr'] },
  'ext4 with other default mount options': { make: ['-t', 'ext4'], tune: ['-o', '^acl,journal_data_writeback,nobarrier,discard,block_validity'] },
  'ext4 with quotas of users only': { make: ['-t', 'ext4', '-O', 'quota', '-E', 'quotatype=usrquota'] },
  'ext4 grown from 40 MiB': { make: ['-t', 'ext4', '-b', '1024'], grownFrom: '40M' },
  'ext3 grown from 40 MiB': { make: ['-t', 'ext3', '-b', '1024'], grownFrom: '40M' },
}
const XFS: Record<string, readonly string[]> = {
  'xfs of Debian 12': [],
  'xfs of RHEL 7': ['-m', 'finobt=0,reflink=0,rmapbt=0,bigtime=0,inobtcount=0', '-i', 'sparse=0', '-L', 'data'],
  'xfs with everything': ['-m', 'rmapbt=1', '-i', 'nrext64=1,size=1024', '-n', 'size=8192', '-l', 'size=66m', '-d', 'agcount=5'],
  'xfs of version 4, as of RHEL 6': ['-m', 'crc=0,finobt=0', '-n', 'ftype=0', '-i', 'projid32bit=0'],
  'xfs of version 4 with the choices of its last years': ['-m', 'crc=0', '-n', 'ftype=1', '-i', 'projid32bit=1,size=512'],
  'xfs of version 4 with an old log': ['-m', 'crc=0', '-l', 'version=1,lazy-count=0', '-i', 'attr=1'],
}

function described(type: 'ext4' | 'xfs', found: Pick<FileSystem, 'uuid' | 'label' | 'features' | 'properties' | 'blockSizeBytes' | 'inodeSizeBytes'>, sizeBytes: number): Volume {
  return volume('sda', 1, '/x', { type, typeName: type, usedBytes: 0, ...found }, sizeBytes)
}

function canMount(device: string, directory: string): boolean {
  const place = mkdtempSync(join(directory, 'mounted-'))
  if (spawnSync('mount', [device, place]).status !== 0) return false
  execFileSync('umount', [place])
  return true
}

for (const [name, { make, tune = [], grownFrom }] of Object.entries(EXT)) {
  t.test(`${name} is made again exactly`, { skip: noLoopDisks() }, async t => {
    using disks = makeLoopDisks([400 * MIB, 400 * MIB])
    const [source = '', replica = ''] = disks.devices
    execFileSync('mke2fs', ['-q', '-F', ...make, source, ...(grownFrom === undefined ? [] : [grownFrom])])
    execFileSync('tune2fs', ['-c', '33', '-i', '100d', ...tune, source], { stdio: 'ignore' })
    if (grownFrom !== undefined) execFileSync('resize2fs', ['-f', source], { stdio: 'ignore' })
    const wanted = await readExtSuperblock(runner, source, signal)
    const planned = described('ext4', wanted, 400 * MIB)
    t.equal(await holdsFileSystem(runner, replica, planned, signal), 'no')
    await makeFileSystem(runner, replica, planned, disks.directory, signal)
    t.equal(await holdsFileSystem(runner, replica, planned, signal), 'yes')
    const made = await readExtSuperblock(runner, replica, signal)
    t.same({ ...made, features: [...made.features].sort() }, { ...wanted, features: [...wanted.features].sort() })
    t.ok((await checkExt(runner, replica, 60_000, signal)).clean)
  })
}

for (const [name, args] of Object.entries(XFS)) {
  t.test(`${name} is made again exactly`, { skip: noLoopDisks() }, async t => {
    using disks = makeLoopDisks([400 * MIB, 400 * MIB])
    const [source = '', replica = ''] = disks.devices
    const uuid = '0a0a0a0a-0000-4000-8000-000000000021'
    execFileSync('mkfs.xfs', ['-q', '-f', '-m', `uuid=${uuid}`, ...args, source])
    const wanted = await readXfsGeometry(runner, source, signal)
    const mounts = canMount(source, disks.directory)
    await makeFileSystem(runner, replica, described('xfs', { ...wanted, uuid, label: args.includes('data') ? 'data' : '' }, 400 * MIB), disks.directory, signal)
    t.same(await readXfsGeometry(runner, replica, signal), wanted)
    t.equal(execFileSync('blkid', ['-p', '-s', 'UUID', '-o', 'value', replica], { encoding: 'utf8' }).trim(), uuid)
    t.ok((await checkXfs(runner, replica, 60_000, signal)).clean)
    if (mounts) t.ok(canMount(replica, disks.directory))
    else t.pass('not mounted: this kernel does not take the source either')
    t.ok(mounts || args.some(a => a.startsWith('crc=0')), 'only a kernel without version 4 is an excuse')
  })
}

t.test('a small XFS with a small log, as older tools made them, is made again', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([100 * MIB, 100 * MIB])
  const [source = '', replica = ''] = disks.devices
  execFileSync('mkfs.xfs', ['-q', '-f', '--unsupported', '-m', 'uuid=0a0a0a0a-0000-4000-8000-000000000022', '-l', 'size=10m', source], { stdio: 'ignore' })
  const wanted = await readXfsGeometry(runner, source, signal)
  await makeFileSystem(runner, replica, described('xfs', { ...wanted, uuid: '0a0a0a0a-0000-4000-8000-000000000022', label: '' }, 100 * MIB), disks.directory, signal)
  t.same(await readXfsGeometry(runner, replica, signal), wanted)
})

t.test('an ext file system whose making was interrupted is made again, a finished one is left alone', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([400 * MIB, 400 * MIB])
  const [source = '', replica = ''] = disks.devices
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-L', 'root', source])
  const planned = described('ext4', await readExtSuperblock(runner, source, signal), 400 * MIB)
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-U', planned.fileSystem.uuid, '-L', 'landfall-new', replica])
  await makeFileSystem(runner, replica, planned, disks.directory, signal)
  t.equal((await readExtSuperblock(runner, replica, signal)).label, 'root')
  const written = execFileSync('dumpe2fs', ['-h', replica], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  await makeFileSystem(runner, replica, planned, disks.directory, signal)
  t.equal(execFileSync('dumpe2fs', ['-h', replica], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }), written)
})
