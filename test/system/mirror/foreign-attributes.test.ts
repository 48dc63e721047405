/** What one file system has and another one cannot hold: it is told by name, and everything else arrives. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mirrorDirectories, verifyDirectories } from '../../lab/transfer.ts'
import { MOUNT_SKIP, mountLoop, type LoopFileSystem, type LoopType } from '../../zoo/loop-file-system.ts'
import { inShort, mirrorBetween } from '../../zoo/mirror-between.ts'
import { differences } from '../../zoo/zoo.ts'

interface Volumes { from: string, to: string, source: LoopFileSystem, replica: LoopFileSystem }

function volumes(t: Test, from: LoopType, to: LoopType, options?: string): Volumes {
  const source = mountLoop(from)
  t.teardown(() => { source[Symbol.dispose]() })
  const replica = mountLoop(to, 512, options)
  t.teardown(() => { replica[Symbol.dispose]() })
  return { source, replica, from: source.path, to: replica.path }
}

const run = (tool: string, ...args: string[]): string => execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const python = (script: string, ...args: string[]): string => run('python3', '-c', `import os, sys, fcntl, struct\n${script}`, ...args)
const quoted = (messages: readonly { message: string }[]): string => messages.map(({ message }) => message).join('\n')

t.test('flags that the replica does not know are named, and the others are set', { skip: MOUNT_SKIP }, async t => {
  const { from, to } = volumes(t, 'btrfs', 'xfs')
  for (const [name, flags] of [['f', '+Cd'], ['g', '+A']] as const) {
    writeFileSync(join(from, name), '')
    run('chattr', flags, join(from, name))
    writeFileSync(join(from, name), 'content')
  }
  mkdirSync(join(from, 'd'))
  run('chattr', '+D', join(from, 'd'))
  const { all } = await mirrorBetween(from, to)
  t.same(inShort(all), ['ATTRIBUTE_REFUSED d', 'ATTRIBUTE_REFUSED f'])
  t.match(quoted(all), /d: .*inode flags dirsync/)
  t.match(quoted(all), /f: .*inode flags nocow/)
  t.match(run('lsattr', join(to, 'f'), join(to, 'g')), /^-+d-+ .*\n-+A-+ /)
  t.equal(readFileSync(join(to, 'f'), 'utf8'), 'content')
})

t.test('attributes that do not fit are named one by one, of files, directories, links and nodes', { skip: MOUNT_SKIP }, async t => {
  const { from, to } = volumes(t, 'xfs', 'ext4')
  python(`
os.chdir(sys.argv[1])
open('f', 'w').write('content')
os.mkdir('d'); os.mkfifo('p'); os.symlink('f', 's')
for name in ('f', 'd'):
    os.setxattr(name, 'user.large', b'L' * 65536)
    os.setxattr(name, 'user.middle', b'M' * 30000)
    os.setxattr(name, 'user.small', b's')
for name in ('p', 's'):
    os.setxattr(name, 'trusted.large', b'L' * 40000, follow_symlinks=False)
    os.setxattr(name, 'trusted.small', b's', follow_symlinks=False)
`, from)
  const { all } = await mirrorBetween(from, to)
  t.same(inShort(all), ['ATTRIBUTE_REFUSED d', 'ATTRIBUTE_REFUSED f', 'ATTRIBUTE_REFUSED p', 'ATTRIBUTE_REFUSED s'])
  t.match(quoted(all), /f: .*extended attribute user\.large, extended attribute user\.middle \(/)
  t.equal(readFileSync(join(to, 'f'), 'utf8'), 'content')
  t.equal(python('print([os.listxattr(sys.argv[1] + "/" + n, follow_symlinks=False) for n in "fdps"])', to).trim(), "[['user.small'], ['user.small'], ['trusted.small'], ['trusted.small']]")
  t.equal(statSync(join(to, 'f'), { bigint: true }).mtimeNs, statSync(join(from, 'f'), { bigint: true }).mtimeNs)
})

t.test('an ACL on a replica without ACLs is named, the mode is right', { skip: MOUNT_SKIP }, async t => {
  const { from, to } = volumes(t, 'ext4', 'btrfs', 'noacl')
  writeFileSync(join(from, 'f'), 'content', { mode: 0o640 })
  run('setfacl', '-m', 'u:1000:rw', join(from, 'f'))
  mkdirSync(join(from, 'd'))
  run('setfacl', '-d', '-m', 'u:1000:rwx', join(from, 'd'))
  const { all } = await mirrorBetween(from, to)
  t.same(inShort(all), ['ATTRIBUTE_REFUSED d', 'ATTRIBUTE_REFUSED f'])
  t.match(quoted(all), /d: .*system\.posix_acl_default.*\n.*f: .*system\.posix_acl_access/)
  t.equal(statSync(join(to, 'f')).mode, statSync(join(from, 'f')).mode)
})

t.test('a replica without any attributes, ACLs and flags takes everything else', { skip: MOUNT_SKIP }, async t => {
  const { from, replica } = volumes(t, 'ext4', 'ext4')
  const to = join(replica.path, 'ramfs')
  mkdirSync(to)
  run('mount', '-t', 'ramfs', 'none', to)
  t.teardown(() => { run('umount', to) })
  python(`
os.chdir(sys.argv[1])
open('f', 'w').write('content')
open('plain', 'w').write('plain')
os.setxattr('f', 'user.a', b'1'); os.setxattr('f', 'trusted.b', b''); os.setxattr('f', 'security.selinux', b'label')
`, from)
  run('setfacl', '-m', 'u:1000:rw', join(from, 'f'))
  run('chattr', '+id', join(from, 'f'))
  t.teardown(() => { run('chattr', '-i', join(from, 'f')) })
  const { all } = await mirrorBetween(from, to)
  t.same(inShort(all), ['ATTRIBUTE_REFUSED f'])
  t.match(quoted(all), /security\.selinux.*system\.posix_acl_access.*trusted\.b.*user\.a.*inode flags immutable nodump/)
  t.equal(readFileSync(join(to, 'f'), 'utf8'), 'content')
  t.equal(readFileSync(join(to, 'plain'), 'utf8'), 'plain')
})

t.test('times that the replica cannot keep are told, and those at its limits are kept', { skip: MOUNT_SKIP }, async t => {
  const { from, to } = volumes(t, 'btrfs', 'ext4')
  python(`
os.chdir(sys.argv[1])
for name, second in (('ancient', -9000000000), ('first', -2147483647), ('far', 15032385534), ('beyond', 30000000000)):
    open(name, 'w').close(); os.utime(name, ns=(0, second * 10**9 + 5))
    os.symlink('x', 'link-' + name); os.utime('link-' + name, ns=(0, second * 10**9 + 5), follow_symlinks=False)
    os.mkdir('dir-' + name); os.utime('dir-' + name, ns=(0, second * 10**9 + 5))
`, from)
  const { all } = await mirrorBetween(from, to)
  t.same(inShort(all), ['', 'dir-', 'link-'].flatMap(kind => ['ancient', 'beyond'].map(name => `ATTRIBUTE_REFUSED ${kind}${name}`)).sort())
  t.match(quoted(all), /ancient: .*times/)
  t.same(differences(from, to).filter(line => !/ancient|beyond| differences$/.test(line)), [])
})

t.test('a link that is too long and a device number that is too large are refused by name, once, and the rest is copied', { skip: MOUNT_SKIP }, async t => {
  const { from, to } = volumes(t, 'ext4', 'xfs')
  python(`
os.chdir(sys.argv[1])
os.symlink('x' * 4095, 'longest'); os.mknod('widest', 0o20600, os.makedev(4095, 1048575)); os.mknod('wide', 0o60600, os.makedev(511, 262143))
open('f', 'w').write('content')
`, from)
  const { all, filesFound } = await mirrorBetween(from, to)
  t.same(inShort(all), ['REPLICA_REFUSED longest', 'REPLICA_REFUSED widest'])
  t.match(quoted(all), /ENAMETOOLONG/)
  t.equal(filesFound, 5, 'one walk: a second one would not help')
  t.same(differences(from, to).filter(line => !/longest|widest| differences$/.test(line)), [])
})

t.test('findings above the limit of what is told are counted', { skip: MOUNT_SKIP }, async t => {
  const { from, to } = volumes(t, 'ext4', 'xfs')
  for (let i = 0; i < 12; i++) symlinkSync('x'.repeat(2000), join(from, `too-long-${String(i)}`))
  const request = { compare: 'attributes', orphans: 'keep' } as const
  const few = await mirrorDirectories({ source: from, target: to, request, maxFindings: 5 }, AbortSignal.timeout(120_000))
  t.same([few.findings.length, few.findingsTotal], [5, 12])
  const { findings, findingsTotal } = await verifyDirectories({
    source: from, target: to, request, maxFindings: 7, verify: { by: 'attributes', repair: true, reportFile: join(t.testdir(), 'report') },
  }, AbortSignal.timeout(120_000))
  t.same([findings.length, findingsTotal], [7, 12], 'of a repair')
})

t.test('project ids arrive on XFS, and where there are none they are named', { skip: MOUNT_SKIP }, async t => {
  const { from, to } = volumes(t, 'xfs', 'xfs')
  python(`
os.chdir(sys.argv[1])
os.mkdir('d'); open('f', 'w').close()
for name, project, flags in (('d', 42, 0x200), ('f', 77, 0)):
    fd = os.open(name, os.O_RDONLY)
    attr = list(struct.unpack('5I8s', fcntl.ioctl(fd, 0x801C581F, bytes(28)))); attr[3] = project; attr[0] |= flags
    fcntl.ioctl(fd, 0x401C5820, struct.pack('5I8s', *attr))
open('d/child', 'w').close()
`, from)
  const projects = (root: string): string => python(`
for name in ('d', 'f', 'd/child'):
    fd = os.open(sys.argv[1] + '/' + name, os.O_RDONLY)
    attr = struct.unpack('5I8s', fcntl.ioctl(fd, 0x801C581F, bytes(28))); print(name, attr[3], attr[0] & 0x200)
`, root).trim()
  t.same((await mirrorBetween(from, to)).all, [])
  t.equal(projects(to), 'd 42 512\nf 77 0\nd/child 42 0')
  const { to: elsewhere } = volumes(t, 'ext4', 'btrfs')
  const { all } = await mirrorBetween(from, elsewhere)
  t.same(inShort(all), ['ATTRIBUTE_REFUSED d', 'ATTRIBUTE_REFUSED d/child', 'ATTRIBUTE_REFUSED f'])
  t.match(quoted(all), /project id 77/)
})

t.test('attributes over 1 MiB together, and names that the kernel cannot list, are told once each, and the content arrives', { skip: MOUNT_SKIP }, async t => {
  const { from, to } = volumes(t, 'xfs', 'xfs')
  python(`
os.chdir(sys.argv[1])
os.mkdir('whole')
for directory in ('.', 'whole'):
    for what in ('values', 'names'):
        at = directory + '/' + what
        open(at + '-small', 'w').write('content'); open(at + '-large', 'wb').write(os.urandom(3 << 20)); os.mkdir(at + '-d'); open(at + '-d/inside', 'w').write('inside')
        for kind in ('-small', '-large', '-d'):
            if what == 'values':
                for i in range(20): os.setxattr(at + kind, 'user.v%02d' % i, b'V' * 61440)
            else:
                for i in range(300): os.setxattr(at + kind, 'user.%03d' % i + 'n' * 242, b'v')
`, from)
  const { all } = await mirrorBetween(from, to)
  t.same(inShort(all), ['', 'whole/'].flatMap(directory => ['names', 'values'].flatMap(what => ['d', 'large', 'small'].map(kind => `ATTRIBUTE_REFUSED ${directory}${what}-${kind}`))).sort())
  const held = (name: string): number => Number(python('print(len(os.listxattr(sys.argv[1])))', join(to, name)))
  for (const name of ['values-small', 'values-large', 'values-d', 'whole/values-small', 'whole/values-large', 'whole/values-d']) t.equal(held(name), 17, name)
  for (const name of ['names-small', 'names-large', 'names-d', 'whole/names-small', 'whole/names-large', 'whole/names-d']) t.equal(held(name), 0, name)
  t.equal(run('rsync', '-niaHS', '--checksum', '--delete', `${from}/`, `${to}/`), '', 'all but the attributes is equal')
  t.same((await mirrorBetween(from, to, { compare: 'data' })).all, [], 'what can be held is there')
})
