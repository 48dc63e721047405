/** What a layer holds is brought to the volumes and taken back, on real overlays; broken off at every step, too. */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import type { Runner } from '../../../src/command/runner.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { bringLayer, takeBack } from '../../../src/replica/bring-layer.ts'
import { FixUpLayer } from '../../../src/replica/fix-up-layer.ts'
import type { MountedVolume } from '../../../src/storage/volume-stack.ts'
import { mounted, noOverlay } from './layered-volumes.ts'

const signal = AbortSignal.timeout(120_000)
const nothing = async (): Promise<void> => { await Promise.resolve() }

/** Everything that a comparison of two trees would look at; the time of the root is not ours. */
function seen(directory: string): string {
  const list = execFileSync('find', ['.', '-type', 'd', '-printf', '%P d %m %U %G %T@\\n', '-o', '-printf', '%P %y %l %m %U %G %n %T@\\n'], { cwd: directory, encoding: 'latin1' }).split('\n').slice(1).sort()
  const data = execFileSync('sh', ['-c', 'find . -type f -exec sha256sum {} + | sort; getfattr -R -h -d -m "^(user|security|system)[.]" . 2>/dev/null'], { cwd: directory, encoding: 'latin1' })
  return [...list, data].join('\n')
}

interface Replica { root: string, esp: string, below: readonly MountedVolume[], layer: string, taken: string }

function replica(t: Test): Replica {
  const base = t.testdir({
    root: { etc: { fstab: 'old\n', hosts: 'h\n', gone: 'x', 'a folder': { inner: 'i', deep: { er: 'd' } }, turns: { into: 'file' }, stays: { as: 'it was' } }, boot: { efi: {}, image: 'i'.repeat(100_000) }, dev: {} },
    esp: { EFI: { debian: { 'shimx64.efi': 'shim' }, old: { x: '1' } } },
  })
  const root = join(base, 'root')
  symlinkSync('fstab', join(root, 'etc/link'))
  writeFileSync(Buffer.concat([Buffer.from(join(root, 'etc/stays/')), Buffer.from([0xff, 0xfe])]), 'name that is no text')
  chmodSync(join(root, 'etc/fstab'), 0o640)
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', join(root, 'etc/fstab')])
  execFileSync('mknod', [join(root, 'dev/node'), 'c', '1', '3'])
  execFileSync('find', [base, '-depth', '-exec', 'touch', '-h', '-d', '2020-01-02 03:04:05.123456789', '{}', '+'])
  execFileSync('find', [join(base, 'esp'), '-exec', 'touch', '-d', '2020-01-02 03:04:06', '{}', '+'])
  return { root, esp: join(base, 'esp'), below: [mounted(root, '/'), mounted(join(base, 'esp'), '/boot/efi', 'vfat', 1)], layer: join(base, 'layer'), taken: join(base, 'taken') }
}

/** What fix-ups and tools do to files. */
function fix(root: string, esp: string): void {
  writeFileSync(join(root, 'etc/fstab'), 'new\n')
  writeFileSync(join(root, 'etc/hosts.new'), 'h2\n')
  renameSync(join(root, 'etc/hosts.new'), join(root, 'etc/hosts'))
  rmSync(join(root, 'etc/gone'))
  rmSync(join(root, 'etc/a folder'), { recursive: true })
  mkdirSync(join(root, 'etc/a folder'))
  writeFileSync(join(root, 'etc/a folder/other'), 'o')
  rmSync(join(root, 'etc/turns'), { recursive: true })
  writeFileSync(join(root, 'etc/turns'), 'file')
  rmSync(join(root, 'etc/link'))
  mkdirSync(join(root, 'etc/link/below'), { recursive: true })
  rmSync(join(root, 'dev/node'))
  mkdirSync(join(root, 'new/tree'), { recursive: true })
  symlinkSync('/nowhere', join(root, 'new/tree/link'))
  writeFileSync(join(root, 'new/tree/file'), 'n')
  linkSync(join(root, 'new/tree/file'), join(root, 'new/tree/again'))
  execFileSync('setfattr', ['-n', 'user.made', '-v', '1', join(root, 'new/tree/file')])
  chmodSync(join(root, 'boot'), 0o700)
  mkdirSync(join(esp, 'EFI/BOOT'))
  writeFileSync(join(esp, 'EFI/BOOT/BOOTX64.EFI'), 'shim')
  rmSync(join(esp, 'EFI/old'), { recursive: true })
}

t.test('what the layer shows is what the volumes become, and what they were is what they are again', { skip: noOverlay() }, async t => {
  const { root, esp, below, layer, taken } = replica(t)
  const runner = new ExecaRunner()
  const before = [seen(root), seen(esp)]
  let shown: string[]
  {
    await using made = await FixUpLayer.make(layer, below, signal)
    const views = made.mounted.map(m => m.mountPoint)
    fix(views[0] ?? '', views[1] ?? '')
    shown = views.map(seen)
    let asked = false
    await bringLayer(runner, made.layered, taken, async () => {
      await nothing()
      asked = true
      t.same([seen(root), seen(esp)], before, 'until then nothing is changed')
      t.ok(existsSync(join(taken, 'record.json')), 'and all is ready to be taken back')
    }, signal)
    t.ok(asked)
  }
  t.equal(seen(root), shown[0])
  t.equal(seen(esp), shown[1])
  t.same(await takeBack(runner, below, taken, signal), { found: true })
  t.same([seen(root), seen(esp)], before)
  t.same(await takeBack(runner, below, taken, signal), { found: true }, 'a second time does no harm')
  t.same([seen(root), seen(esp)], before)
})

t.test('a file that was written anew as it was stays as it was; one with other attributes does not', { skip: noOverlay() }, async t => {
  const { root, below, layer, taken } = replica(t)
  const changed = ['etc/fstab', 'etc/hosts', 'etc/gone']
  const before = seen(root)
  await using made = await FixUpLayer.make(layer, below, signal)
  const view = made.mounted[0]?.mountPoint ?? ''
  for (const name of ['boot/image', 'etc/stays/as', ...changed]) {
    execFileSync('cp', ['--preserve=mode,ownership,xattr', join(view, name), join(view, 'new')])
    renameSync(join(view, 'new'), join(view, name))
  }
  execFileSync('setfattr', ['-x', 'user.note', join(view, 'etc/fstab')])
  chmodSync(join(view, 'etc/hosts'), 0o600)
  chownSync(join(view, 'etc/gone'), 7, 8)
  await bringLayer(new ExecaRunner(), made.layered, taken, nothing, signal)
  const record = JSON.parse(readFileSync(join(taken, 'record.json'), 'utf8')) as { volumes: { entries: { path: string }[] }[] }
  t.same(record.volumes[0]?.entries.map(e => e.path).sort(), [...changed].sort())
  for (const name of ['boot/image', 'etc/stays/as']) t.equal(lstatSync(join(root, name)).mtime.toISOString(), '2020-01-02T03:04:05.123Z', name)
  t.equal(execFileSync('getfattr', ['-d', join(root, 'etc/fstab')], { encoding: 'utf8' }), '')
  t.equal(lstatSync(join(root, 'etc/hosts')).mode & 0o777, 0o600)
  t.equal(lstatSync(join(root, 'etc/gone')).gid, 8)
  t.same(await takeBack(new ExecaRunner(), below, taken, signal), { found: true })
  t.equal(seen(root), before)
})

/** Fails at the n-th call, and at all behind it, as for a process that is killed. */
function dyingAt(n: number): Runner & { calls: number } {
  const runner = new ExecaRunner()
  const dying = {
    calls: 0,
    run: async (...args: Parameters<Runner['run']>) => {
      if (++dying.calls >= n) throw new AppError('TOOL_FAILED', 'killed')
      return await runner.run(...args)
    },
  }
  return dying
}

t.test('broken off anywhere, the volumes become what they were, also when that is broken off itself', { skip: noOverlay() }, async t => {
  const { root, esp, below, layer, taken } = replica(t)
  const runner = new ExecaRunner()
  const before = [seen(root), seen(esp)]
  await using made = await FixUpLayer.make(layer, below, signal)
  const views = made.mounted.map(m => m.mountPoint)
  fix(views[0] ?? '', views[1] ?? '')
  const counting = dyingAt(Infinity)
  await bringLayer(counting, made.layered, taken, nothing, signal)
  await takeBack(runner, below, taken, signal)
  t.ok(counting.calls > 8)
  let untouched = 0
  for (let n = 1; n <= counting.calls; n++) {
    rmSync(taken, { recursive: true, force: true })
    await t.rejects(bringLayer(dyingAt(n), made.layered, taken, nothing, signal), { code: 'TOOL_FAILED' })
    if (seen(root) === before[0]) untouched++
    if (n % 3 === 0) await takeBack(dyingAt(Math.ceil(n / 3)), below, taken, signal).catch(() => undefined)
    await takeBack(runner, below, taken, signal)
    const after = [seen(root), seen(esp)]
    if (after[0] !== before[0] || after[1] !== before[1]) t.same(after, before, `broken off at call ${String(n)}`)
  }
  t.ok(untouched > 2 && untouched < counting.calls, 'some were broken off before the first change, some after it')
})

t.test('a file that had more names than one is told: a mirror must link them again', { skip: noOverlay() }, async t => {
  const { root, below, layer, taken } = replica(t)
  const runner = new ExecaRunner()
  linkSync(join(root, 'etc/fstab'), join(root, 'etc/fstab.link'))
  {
    await using made = await FixUpLayer.make(layer, below, signal)
    writeFileSync(join(made.mounted[0]?.mountPoint ?? '', 'etc/fstab'), 'new\n')
    await bringLayer(runner, made.layered, taken, nothing, signal)
  }
  t.equal(readFileSync(join(root, 'etc/fstab'), 'utf8'), 'new\n')
  t.match(await takeBack(runner, below, taken, signal), { found: true, lost: /etc\/fstab/ })
  t.equal(readFileSync(join(root, 'etc/fstab'), 'utf8'), 'old\n')
  t.equal(lstatSync(join(root, 'etc/fstab')).nlink, 1)
})

t.test('a changed name that is no text is refused before anything is changed; without a record nothing is taken back', { skip: noOverlay() }, async t => {
  const { root, below, layer, taken } = replica(t)
  const runner = new ExecaRunner()
  const before = seen(root)
  t.same(await takeBack(runner, below, taken, signal), { found: false })
  {
    await using made = await FixUpLayer.make(layer, below, signal)
    writeFileSync(Buffer.concat([Buffer.from(join(made.mounted[0]?.mountPoint ?? '', 'etc/')), Buffer.from([0xff])]), 'x')
    await t.rejects(bringLayer(runner, made.layered, taken, nothing, signal), { code: 'BOOT_FIXUP_FAILED', message: /no UTF-8/ })
  }
  t.equal(seen(root), before)
  mkdirSync(taken, { recursive: true })
  writeFileSync(join(taken, 'record.json'), '{"version":1')
  await t.rejects(takeBack(runner, below, taken, signal), { code: 'STORE_INVALID' })
  t.ok(readdirSync(taken).includes('record.json'), 'and is kept')
})
