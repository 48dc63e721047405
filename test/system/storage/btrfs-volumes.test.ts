/** A btrfs of a source, as snapper and mkfs of other times leave it, is made again by the real VolumeStack and compared by the tools that describe sources. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import type { PlannedVolume } from '../../../src/domain/replica.ts'
import type { FileSystem } from '../../../src/domain/volume.ts'
import { LinuxVolumeStack } from '../../../src/storage/linux-volume-stack.ts'
import { describeFileSystem } from '../../../src/workload/describe-file-system.ts'
import { makeLoopDisks, noLoopDisks } from '../../contract/loop-disks.ts'
import { volume } from '../../unit/replica/workloads.ts'

const MIB = 1 << 20
const runner = new ExecaRunner()
const signal = AbortSignal.timeout(120_000)
const tool = (name: string, ...args: string[]): string => execFileSync(name, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })

const MADE: Record<string, readonly string[]> = {
  'btrfs of SLES 12': ['-O', '^no-holes', '-R', '^free-space-tree', '-m', 'dup', '-L', 'with blank'],
  'btrfs of today': ['--csum', 'xxhash', '-n', '32768'],
  'btrfs of old times with all in mixed groups': ['-O', '^no-holes,^skinny-metadata', '-R', '^free-space-tree', '--mixed', '-m', 'single', '-d', 'single', '-n', '4096'],
}
const SUBVOLUMES = ['@', '@/.snapshots', '@/.snapshots/1/snapshot', '@/var', '@/boot/grub2/i386-pc', '@/odd name']

/** Mounts as the agent reads them of the source. */
function mountsOf(directory: string, device: string): Parameters<typeof describeFileSystem>[0]['mounts'] {
  return SUBVOLUMES.slice(2).map((path, i) => {
    const hostPath = join(directory, `mount-${String(i)}`)
    mkdirSync(hostPath, { recursive: true })
    tool('mount', '-o', `subvol=/${path}`, device, hostPath)
    return { mountPoint: i === 0 ? '/' : `/${String(i)}`, hostPath, majorMinor: '0:1', fileSystemRoot: `/${path}`, type: 'btrfs', source: device, options: 'rw' }
  })
}

async function describe(directory: string, device: string): Promise<FileSystem> {
  const mounts = mountsOf(directory, device)
  try {
    const found = await describeFileSystem({ runner, device, mounts, report: f => { throw new Error(f.message) }, signal })
    if (found === undefined) throw new Error(`nothing on ${device}`)
    return { ...found.fileSystem, usedBytes: 0 }
  } finally {
    for (const { hostPath } of mounts) tool('umount', hostPath)
  }
}

for (const [name, args] of Object.entries(MADE)) {
  t.test(`${name} is made again with its subvolumes, mounted by them, checked and taken away`, { skip: noLoopDisks() }, async t => {
    using disks = makeLoopDisks([400 * MIB, 400 * MIB])
    const [source = '', replica = ''] = disks.devices
    tool('mkfs.btrfs', '-q', '-f', ...args, source)
    const top = join(disks.directory, 'top')
    mkdirSync(top)
    tool('mount', source, top)
    for (const path of [...SUBVOLUMES, 'set aside', '@/var/nested']) {
      mkdirSync(join(top, path, '..'), { recursive: true })
      tool('btrfs', 'subvolume', 'create', join(top, path))
    }
    mkdirSync(join(top, '@/.snapshots/2'))
    tool('btrfs', 'subvolume', 'snapshot', '-r', join(top, '@/.snapshots/1/snapshot'), join(top, '@/.snapshots/2/snapshot'))
    tool('chattr', '+C', join(top, '@/var'))
    tool('btrfs', 'subvolume', 'set-default', join(top, '@/.snapshots/1/snapshot'))
    tool('umount', top)
    const wanted = await describe(disks.directory, source)
    t.same(wanted.subvolumes?.map(s => s.path), [...SUBVOLUMES].sort(), 'the snapshot is not among them')
    t.same(wanted.unmountedSubvolumes, ['@/.snapshots', 'set aside'], 'what lies in a mounted one is copied with it')
    tool('wipefs', '--all', source) // mkfs.btrfs makes no file system with the UUID of another one in the machine

    const stack = new LinuxVolumeStack({ runner, stateDirectory: join(disks.directory, 'state'), devicesBySerial: join(disks.directory, 'by-serial') })
    const planned = ['@/.snapshots/1/snapshot', '@/var', '@/odd name'].map((subvolume, index): PlannedVolume => ({
      index, disk: 0, partition: 0, volume: { ...volume('vda', 0, index === 0 ? '/srv' : `/srv/${String(index)}`, wanted, 400 * MIB), subvolume },
    }))
    const placed = planned.map(v => ({ device: replica, volume: v }))
    for (const { device, volume: v } of [...placed, ...placed]) await stack.format(device, v, signal) // made once, found again
    const mounted = await stack.mount('job1', placed, signal)
    await stack.mark(mounted, signal)
    for (const m of mounted) writeFileSync(join(m.mountPoint, 'own'), m.volume.volume.subvolume ?? '')
    t.same(mounted.map(m => readdirSync(m.mountPoint)), [['own'], ['own'], ['own']])
    t.same(await stack.mount('job1', placed, signal), mounted, 'again the same')
    await stack.unmark(mounted, signal)
    await stack.release('job1', [replica], signal)

    const made = await describe(disks.directory, replica)
    t.same({ ...made, features: [...made.features].sort() }, { ...wanted, unmountedSubvolumes: ['@/.snapshots'], features: [...wanted.features].sort() })
    t.match(tool('blkid', '-p', '-o', 'export', replica), `UUID=${wanted.uuid}\n`)
  })
}

t.test('an interrupted making is done again; a mount that shows another subvolume than the planned one is refused', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([200 * MIB])
  const [device = ''] = disks.devices
  const subvolumes = ['a', 'b'].map(path => ({ path, default: false, noCow: false }))
  const fileSystem: FileSystem = {
    type: 'btrfs', typeName: 'btrfs', uuid: '0a0a0a0a-0000-4000-8000-0000000000b7', label: '', blockSizeBytes: 4096, usedBytes: 0, features: [], inodeSizeBytes: 0, properties: { data: 'single', metadata: 'DUP' }, subvolumes,
  }
  const stack = new LinuxVolumeStack({ runner, stateDirectory: join(disks.directory, 'state') })
  const at = (subvolume: string): { device: string, volume: PlannedVolume } => ({ device, volume: { index: 0, disk: 0, partition: 0, volume: { ...volume('vda', 0, '/srv', fileSystem, 200 * MIB), subvolume } } })
  tool('mkfs.btrfs', '-q', '-f', '-L', 'landfall-new', '-U', fileSystem.uuid, device) // an interrupted making
  await stack.format(device, at('a').volume, signal)
  t.notMatch(tool('blkid', '-p', '-o', 'export', device), /LABEL=/)
  await stack.mount('job1', [at('a')], signal)
  await t.rejects(stack.mount('job1', [at('b')], signal), { code: 'VOLUME_LAYOUT' })
  await t.rejects(stack.mark([{ ...at('b'), mountPoint: join(disks.directory, 'state/replicas/job1/volume-0'), volumeId: 'job1/0' }], signal), { code: 'REPLICA_ROOT_FOREIGN' })
  await stack.release('job1', [device], signal)
})

t.test('subvolumes with names that mean something to mount are not made', async t => {
  const { whyBtrfsNotMade } = await import('../../../src/storage/make-btrfs.ts')
  const of = (path: string): string | undefined => whyBtrfsNotMade({ type: 'btrfs', typeName: 'btrfs', uuid: '', label: '', blockSizeBytes: 0, usedBytes: 0, features: [], inodeSizeBytes: 0, properties: {}, subvolumes: [{ path, default: false, noCow: false }] })
  for (const path of ['a,suid', '../x', '/x', 'x/', 'a//b', '.', 'a\nb', 'a"b', 'x\\054suid']) t.match(of(path), /cannot be re-created/, path)
  t.equal(of('@/größe 1'), undefined)
})
