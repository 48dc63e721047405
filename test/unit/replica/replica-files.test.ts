import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'

/** A root with links that try to leave it, and what lies outside. */
function hostile(t: Test): { root: string, outside: string } {
  const directory = t.testdir({ outside: { secret: 'kept', folder: {} }, root: { etc: { fstab: 'old\n' }, usr: { lib: { file: 'in usr' } } } })
  const root = join(directory, 'root')
  const outside = join(directory, 'outside')
  symlinkSync(outside, join(root, 'absolute'))
  symlinkSync('../outside', join(root, 'up'))
  symlinkSync('../../../../../../../../../../..' + outside, join(root, 'etc/far-up'))
  symlinkSync(join(outside, 'secret'), join(root, 'etc/secret'))
  symlinkSync('usr/lib', join(root, 'lib'))
  symlinkSync('/usr/lib/file', join(root, 'etc/link-to-file'))
  symlinkSync('loop', join(root, 'loop'))
  return { root, outside }
}

t.test('links are followed as a program inside the root would follow them', async t => {
  const { root } = hostile(t)
  await using files = await ReplicaFiles.open(root)
  t.equal(await files.text('/lib/file'), 'in usr')
  t.equal(await files.text('/etc/link-to-file'), 'in usr')
  t.equal(await files.text('/../../etc/fstab'), 'old\n', 'above the root is the root')
})

t.test('nothing outside the root is read', async t => {
  const { root, outside } = hostile(t)
  await using files = await ReplicaFiles.open(root)
  for (const path of ['/absolute/secret', '/up/secret', '/etc/far-up/secret', '/etc/secret', `/../..${outside}/secret`]) {
    t.equal(await files.text(path), undefined, path)
    t.equal(await files.hash(path), '', path)
  }
  t.same(await files.names('/absolute'), [])
})

t.test('nothing outside the root is written, made or removed', async t => {
  const { root, outside } = hostile(t)
  await using files = await ReplicaFiles.open(root)
  for (const path of ['/absolute/secret', '/up/secret', '/etc/far-up/secret', '/etc/secret']) {
    await files.write(path, 'overwritten').catch(() => undefined)
    await files.makeDirectory(`${path}-directory`).catch(() => undefined)
    await files.link(path, '/dev/null').catch(() => undefined)
    await files.remove(path)
  }
  await files.remove('/absolute')
  await files.copy('/etc/fstab', '/up/copied').catch(() => undefined)
  t.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'kept')
  t.same(execFileSync('find', [outside, '-printf', '%P\n'], { encoding: 'utf8' }).trim().split('\n').sort(), ['folder', 'secret'])
})

t.test('an endless link is an error, not a hang', async t => {
  const { root } = hostile(t)
  await using files = await ReplicaFiles.open(root)
  await t.rejects(files.text('/loop/x'), { code: 'BOOT_FIXUP_FAILED' })
})

t.test('a pipe or a device in place of a file is neither read nor waited for', async t => {
  const { root } = hostile(t)
  execFileSync('mkfifo', [join(root, 'etc/pipe')])
  await using files = await ReplicaFiles.open(root)
  t.equal(await files.text('/etc/pipe'), undefined)
  await t.rejects(files.write('/etc/pipe', 'x'), { code: 'BOOT_FIXUP_FAILED' })
})

t.test('an edited file keeps its inode, mode and attributes', { skip: process.getuid?.() === 0 ? false : 'needs root' }, async t => {
  const { root } = hostile(t)
  const path = join(root, 'etc/fstab')
  execFileSync('chmod', ['640', path])
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'x', path])
  const inode = lstatSync(path).ino
  await using files = await ReplicaFiles.open(root)
  await files.write('/etc/fstab', 'new\n')
  t.equal(readFileSync(path, 'utf8'), 'new\n')
  t.equal(lstatSync(path).ino, inode)
  t.equal(lstatSync(path).mode & 0o777, 0o640)
  t.match(execFileSync('getfattr', ['-d', '--absolute-names', path], { encoding: 'utf8' }), /user.note="x"/)
})

t.test('bytes that are no UTF-8 come out as they went in', async t => {
  const { root } = hostile(t)
  const bytes = Buffer.from([0x66, 0xff, 0xc3, 0x28, 0x0a])
  writeFileSync(join(root, 'etc/odd'), bytes)
  await using files = await ReplicaFiles.open(root)
  await files.write('/etc/odd', await files.text('/etc/odd') ?? '')
  t.ok(readFileSync(join(root, 'etc/odd')).equals(bytes))
})

t.test('directories are made where they are missing, trees removed without following links', async t => {
  const { root, outside } = hostile(t)
  await using files = await ReplicaFiles.open(root)
  await files.write('/a/b/c/file', 'x')
  symlinkSync(outside, join(root, 'a/b/out'))
  mkdirSync(join(root, 'a/empty'))
  t.ok(await files.remove('/a'))
  t.notOk(existsSync(join(root, 'a')))
  t.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'kept')
  t.notOk(await files.remove('/a'))
})

t.test('a link is replaced, a file renamed and copied with its content', async t => {
  const { root } = hostile(t)
  await using files = await ReplicaFiles.open(root)
  await files.link('/etc/unit', '/dev/null')
  await files.link('/etc/unit', '/dev/zero')
  t.equal(readlinkSync(join(root, 'etc/unit')), '/dev/zero')
  await files.copy('/etc/fstab', '/etc/fstab.old')
  await files.rename('/etc/fstab.old', '/etc/fstab.older')
  t.equal(readFileSync(join(root, 'etc/fstab.older'), 'utf8'), 'old\n')
  t.same(await files.names('/usr/lib'), ['file'])
  t.ok((await files.space('/')).freeBytes > 0)
})
