import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { bindMount, makeNode, mountDevice, mountVirtual, remountBind, setModified, unmount } from '../../../src/posix/mounting.ts'
import { mountAt } from '../../../src/posix/mount-table.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

/** The options of the mount and of its file system, and the fields that tell how it propagates. */
function optionsAt(mountPoint: string): string {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').findLast(line => line.split(' ')[4] === mountPoint)?.split(' ').slice(5).join(' ') ?? ''
}

t.test('what is mounted has just the options that were asked for, and nothing propagates', { skip: MOUNT_SKIP }, async t => {
  const place = t.testdir({ a: {}, b: {} })
  const [a, b] = [join(place, 'a'), join(place, 'b')]
  await mountVirtual('tmpfs', a, ['mode=0710', 'size=64k', 'nosuid', 'nodev', 'noexec'])
  using mounted = new DisposableStack()
  mounted.defer(() => { execFileSync('umount', ['--recursive', a]) })
  t.match(optionsAt(a), /^rw,nosuid,nodev,noexec,relatime - tmpfs landfall rw,size=64k,mode=710/)
  t.equal(statSync(a).mode & 0o7777, 0o710)
  await remountBind(a, ['ro', 'nosuid', 'nodev', 'noexec'])
  t.throws(() => { writeFileSync(join(a, 'file'), '') }, { code: 'EROFS' })
  await remountBind(a, ['rw', 'nosuid', 'nodev', 'noexec'])
  writeFileSync(join(a, 'file'), '')
  await bindMount(a, b)
  t.match(optionsAt(b), / - tmpfs landfall /)
  await remountBind(b, ['nosuid', 'nodev', 'exec', 'noatime'])
  t.match(optionsAt(b), /^rw,nosuid,nodev,noatime - tmpfs /)
  t.match(optionsAt(a), /^rw,nosuid,nodev,noexec,relatime /, 'only the one mount has them')
  mkdirSync(join(a, 'inner'))
  await mountVirtual('sysfs', join(a, 'inner'), ['ro', 'noexec', 'nosuid', 'nodev'])
  t.equal(await mountAt(join(b, 'inner')), undefined)
  await unmount(b)
  t.equal(await mountAt(b), undefined)
})

t.test('a mount that is busy, absent, or reached by a link stays, and why is told', { skip: MOUNT_SKIP }, async t => {
  const place = t.testdir({ a: {} })
  const at = join(place, 'a')
  await mountVirtual('tmpfs', at, [])
  symlinkSync(at, join(place, 'link'))
  await t.rejects(unmount(join(place, 'link')), { code: 'MOUNT_FAILED', message: /EINVAL$/ })
  const held = await open(at)
  await t.rejects(unmount(at), { code: 'MOUNT_FAILED', message: `cannot unmount ${at}: EBUSY` })
  await held.close()
  await unmount(at)
  await t.rejects(unmount(at), { code: 'MOUNT_FAILED', message: /EINVAL$/ })
})

t.test('a device is mounted by the name that is given, with the options of its file system; another one is refused', { skip: MOUNT_SKIP }, async t => {
  using loop = mountLoop('ext4', 64)
  const place = t.testdir({ a: {} })
  const at = join(place, 'a')
  const { source = '' } = await mountAt(loop.path) ?? {}
  await mountDevice(source, at, 'ext4', ['rw', 'nosuid', 'noatime', 'errors=remount-ro'])
  t.match(optionsAt(at), /^rw,nosuid,noatime .*- ext4 /)
  t.equal((await mountAt(at))?.source, source)
  await unmount(at)
  await t.rejects(mountDevice(source, at, 'xfs', ['rw']), { code: 'MOUNT_FAILED', message: new RegExp(`^cannot mount ${source} as xfs at `) })
  await t.rejects(mountDevice(source, at, 'ext4', ['no-such-option']), { code: 'MOUNT_FAILED', message: /EINVAL$/ })
})

t.test('a device node has its numbers and mode whatever is masked, and is never made over something', { skip: MOUNT_SKIP }, async t => {
  const place = t.testdir({ file: '' })
  const before = process.umask(0o777)
  try {
    await makeNode(join(place, 'null'), 'character', 1, 3, 0o666)
    await makeNode(join(place, 'disk'), 'block', 259, 300, 0o660)
  } finally {
    process.umask(before)
  }
  const [character, block] = [await stat(join(place, 'null')), await stat(join(place, 'disk'))]
  t.same([character.isCharacterDevice(), character.mode & 0o7777, character.rdev], [true, 0o666, 0x103])
  t.same([block.isBlockDevice(), block.mode & 0o7777, execFileSync('stat', ['-c', '%t:%T', join(place, 'disk')], { encoding: 'utf8' }).trim()], [true, 0o660, '103:12c'])
  await t.rejects(makeNode(join(place, 'file'), 'character', 1, 3, 0o666), { code: 'REPLICA_WRITE', message: /EEXIST$/ })
})

t.test('the time of a change is set to the nanosecond, before 1970 too, on a link itself', async t => {
  const place = t.testdir({ file: '' })
  symlinkSync('file', join(place, 'link'))
  const mtime = async (name: string): Promise<string> => execFileSync('stat', ['-c', '%.9Y', join(place, name)], { encoding: 'utf8' }).trim()
  const atime = (await stat(join(place, 'file'))).atimeMs
  for (const [ns, shown] of [[1_700_000_000_123_456_789n, '1700000000.123456789'], [-1n, '-0.000000001'], [-1_500_000_000n, '-1.500000000']] as const) {
    await setModified(join(place, 'file'), ns)
    t.equal(await mtime('file'), shown)
  }
  t.equal((await stat(join(place, 'file'))).atimeMs, atime)
  await setModified(join(place, 'link'), 7n)
  t.equal(await mtime('link'), '0.000000007')
  t.equal(await mtime('file'), '-1.500000000')
  await t.rejects(setModified(join(place, 'none'), 0n), { code: 'REPLICA_WRITE' })
})
