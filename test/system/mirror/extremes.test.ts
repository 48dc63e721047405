/** Mounts in and over the source, access times, very many names and very large files. */
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MOUNT_SKIP, mountLoop, type LoopType } from '../../zoo/loop-file-system.ts'
import { mirrorBetween } from '../../zoo/mirror-between.ts'
import { differences } from '../../zoo/zoo.ts'

const run = (tool: string, ...args: string[]): string => execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const python = (script: string, ...args: string[]): string => run('python3', '-c', `import os, sys\n${script}`, ...args)

function mounted(t: Test, type: LoopType, options?: string): string {
  const volume = mountLoop(type, 512, options)
  t.teardown(() => { volume[Symbol.dispose]() })
  return volume.path
}

/** Each file system once as source. */
const PAIRS = [['ext4', 'xfs'], ['xfs', 'btrfs'], ['btrfs', 'ext4']] as const

/** Mounts until the test ends. */
function mount(t: Test, at: string, ...args: string[]): void {
  run('mount', ...args, at)
  t.teardown(() => { run('umount', '--recursive', at) })
}

for (const [from, to] of PAIRS) {
  t.test(`mounts over directories and files, and loops of mounts, are looked below and never entered (${from})`, { skip: MOUNT_SKIP }, async t => {
    const [source, replica] = [mounted(t, from), mounted(t, to)]
    const at = (path: string): string => join(source, path)
    for (const path of ['parent', 'parent/child', 'parent/loop', 'over', 'again']) mkdirSync(at(path))
    for (const path of ['parent/child/hidden', 'parent/loop/hidden', 'over/hidden', 'again/hidden', 'single', 'other']) writeFileSync(at(path), `this is ${path}`)
    t.same((await mirrorBetween(source, replica)).all, [])
    mount(t, at('over'), '-t', 'tmpfs', 'none')
    writeFileSync(at('over/not-seen'), 'on the mount')
    mount(t, at('parent/loop'), '--bind', at('parent'))
    mount(t, at('again'), '--rbind', source)
    mount(t, at('single'), '--bind', at('other'))
    const { all, filesFound, filesSkipped } = await mirrorBetween(source, replica)
    t.same(all, [])
    t.equal(filesSkipped, filesFound, 'mounts change nothing')
    for (const path of ['parent/child/hidden', 'parent/loop/hidden', 'over/hidden', 'again/hidden', 'single', 'other']) t.equal(readFileSync(join(replica, path), 'utf8'), `this is ${path}`)
    t.same(readdirSync(join(replica, 'over')), ['hidden'])
  })
}

t.test('an overlay is a source as any other', { skip: MOUNT_SKIP }, async t => {
  const [base, replica] = [mounted(t, 'ext4'), mounted(t, 'ext4')]
  for (const path of ['lower', 'upper', 'work', 'merged', 'lower/d']) mkdirSync(join(base, path))
  for (const name of ['kept', 'changed', 'gone', 'd/inside']) writeFileSync(join(base, 'lower', name), name)
  mount(t, join(base, 'merged'), '-t', 'overlay', '-o', `lowerdir=${base}/lower,upperdir=${base}/upper,workdir=${base}/work`, 'overlay')
  writeFileSync(join(base, 'merged/changed'), 'otherwise')
  run('rm', join(base, 'merged/gone'))
  writeFileSync(join(base, 'merged/d/new'), 'new')
  t.same((await mirrorBetween(join(base, 'merged'), replica)).all, [])
  t.same(differences(join(base, 'merged'), replica), [])
})

for (const [from, to] of PAIRS) {
  t.test(`the layers of an overlay are copied as what they are, and of its mount point what lies below it (${from})`, { skip: MOUNT_SKIP }, async t => {
    const [base, replica] = [mounted(t, from), mounted(t, to)]
    python(`
os.chdir(sys.argv[1])
for path in ('lower', 'upper', 'work', 'merged', 'empty', 'lower/opaque', 'lower/moved'): os.mkdir(path)
for name in ('kept', 'changed', 'gone', 'opaque/inside', 'moved/inside'): open('lower/' + name, 'w').write(name)
open('merged/below', 'w').write('below')
`, base)
    const layers = `lowerdir=${base}/lower,upperdir=${base}/upper,workdir=${base}/work,redirect_dir=on`
    for (const at of ['merged', 'empty']) run('mount', '-t', 'overlay', '-o', at === 'merged' ? layers : `lowerdir=${base}/lower:${base}/upper`, 'overlay', join(base, at))
    const unmount = (): void => { for (const at of ['merged', 'empty']) run('umount', join(base, at)) }
    try {
      python(`
import shutil
os.chdir(sys.argv[1])
open('changed', 'w').write('otherwise'); os.unlink('gone'); shutil.rmtree('opaque'); os.mkdir('opaque'); open('opaque/new', 'w').write('new'); os.rename('moved', 'away')
`, join(base, 'merged'))
      for (const compare of ['none', 'attributes', 'data'] as const) t.same((await mirrorBetween(base, replica, { compare })).all, [])
    } finally {
      unmount()
    }
    const gone = lstatSync(join(replica, 'upper/gone'))
    t.same([gone.isCharacterDevice(), gone.rdev], [true, 0], 'a whiteout')
    t.match(run('getfattr', '-d', '-m', 'trusted.overlay', join(replica, 'upper/opaque'), join(replica, 'upper/away')), /overlay\.opaque="y"[^]*overlay\.redirect="/)
    t.same([readdirSync(join(replica, 'merged')), readdirSync(join(replica, 'empty'))], [['below'], []])
    t.same(differences(base, replica), [])
  })
}

for (const [from, to] of PAIRS) {
  t.test(`access times stay as they are where every read sets them (${from})`, { skip: MOUNT_SKIP }, async t => {
    const [source, replica] = [mounted(t, from, 'strictatime'), mounted(t, to)]
    python(`
os.chdir(sys.argv[1])
os.mkdir('d')
open('small', 'w').write('s'); open('d/large', 'wb').write(os.urandom(2 << 20)); os.symlink('small', 'link')
for path in ('small', 'd/large', 'link', 'd'): os.utime(path, ns=(10**18, 10**18 + 1), follow_symlinks=False)
`, source)
    for (const compare of ['none', 'attributes', 'data'] as const) t.same((await mirrorBetween(source, replica, { compare })).all, [])
    for (const path of ['small', 'd/large', 'link', 'd']) t.equal(lstatSync(join(source, path), { bigint: true }).atimeNs, 10n ** 18n, path)
  })
}

t.test('thousands of names of one object, sparse files of terabytes and unwritten space arrive as they are', { skip: MOUNT_SKIP }, async t => {
  const [source, replica] = [mounted(t, 'ext4'), mounted(t, 'xfs')]
  python(`
os.chdir(sys.argv[1])
os.mkdir('a'); os.mkdir('b')
open('file', 'w').write('content'); os.symlink('file', 'link'); os.mkfifo('fifo')
for i in range(4000): os.link('file', ('a/' if i % 2 else 'b/') + str(i))
for i in range(50): os.link('link', 'a/link-%d' % i, follow_symlinks=False); os.link('fifo', 'b/fifo-%d' % i)
fd = os.open('huge', os.O_CREAT | os.O_RDWR); os.ftruncate(fd, 8 << 40); os.pwrite(fd, b'at the end', (8 << 40) - 10); os.pwrite(fd, b'in it', 3 << 40)
fd = os.open('allocated', os.O_CREAT | os.O_RDWR); os.posix_fallocate(fd, 0, 64 << 20); os.pwrite(fd, b'x' * 4096, 32 << 20)
open('zero', 'w').close()
`, source)
  run('chattr', '+i', join(source, 'file'))
  t.teardown(() => { run('chattr', '-i', join(source, 'file'), join(replica, 'file')) })
  for (const compare of ['none', 'data'] as const) t.same((await mirrorBetween(source, replica, { compare })).all, [])
  t.equal(statSync(join(replica, 'file')).nlink, 4001)
  t.same([statSync(join(replica, 'huge')).size, statSync(join(replica, 'huge')).blocks <= 64], [8 * 2 ** 40, true])
  t.ok(statSync(join(replica, 'allocated')).blocks * 512 <= 1 << 20, 'unwritten space is a hole')
  for (const path of ['huge', 'allocated']) {
    const ends = path === 'huge' ? [3 * 2 ** 40, 8 * 2 ** 40 - 10] : [32 * 2 ** 20]
    const read = (root: string): string => python('fd = os.open(sys.argv[1], os.O_RDONLY)\nprint([os.pread(fd, 10, int(at)) for at in sys.argv[2:]])', join(root, path), ...ends.map(String))
    t.equal(read(replica), read(source))
  }
  // treecmp and rsync read 8 TiB of nothing for long
  run('rm', join(source, 'huge'), join(replica, 'huge'))
  await mirrorBetween(source, replica)
  t.same(differences(source, replica), [])
})
