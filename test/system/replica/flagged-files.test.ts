/** Files that an administrator has locked (`chattr +i`, `+a`) on a real ext4: changed on the layer, brought to the volume, taken back, and locked as before each time. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import type { Runner } from '../../../src/command/runner.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { bringLayer, takeBack } from '../../../src/replica/bring-layer.ts'
import { FixUpLayer } from '../../../src/replica/fix-up-layer.ts'
import { flaggedFiles } from '../../../src/replica/flagged-files.ts'
import type { MountedVolume } from '../../../src/storage/volume-stack.ts'
import { mountLoop, type LoopFileSystem } from '../../zoo/loop-file-system.ts'
import { ext4, GIB, volume } from '../../unit/replica/workloads.ts'
import { noLoopDisks } from '../../contract/loop-disks.ts'

const UUID = 'dd000000-0000-4000-8000-000000000002'
const signal = AbortSignal.timeout(120_000)
const nothing = async (): Promise<void> => { await Promise.resolve() }
const LOCKED = ['etc/fstab', 'etc/only appended', 'etc/ssl', 'boot/grub.cfg'] as const

/** Content, times and flags of everything. */
function seen({ path }: LoopFileSystem): string {
  const run = (command: string): string => execFileSync('sh', ['-c', command], { cwd: path, encoding: 'latin1' })
  return ['find . -path ./lost+found -prune -o -type f -exec sha256sum {} + | sort', 'find . -path ./lost+found -prune -o -path . -o -printf "%P %y %m %T@\\n" | sort', 'lsattr -R -a etc boot 2>/dev/null | sort'].map(run).join('\n')
}

function replica(): { disk: LoopFileSystem, below: readonly MountedVolume[] } {
  const disk = mountLoop('ext4', 64)
  for (const folder of ['etc/ssl/deep', 'boot', 'srv']) mkdirSync(join(disk.path, folder), { recursive: true })
  for (const file of ['etc/fstab', 'etc/only appended', 'etc/ssl/inner', 'boot/grub.cfg', 'srv/locked']) writeFileSync(join(disk.path, file), `old ${file}\n`)
  symlinkSync('/srv', join(disk.path, 'etc/out'))
  execFileSync('chattr', ['+D', join(disk.path, 'etc/ssl')])
  execFileSync('chattr', ['+i', ...['etc/fstab', 'etc/ssl', 'boot/grub.cfg', 'srv/locked'].map(name => join(disk.path, name))])
  execFileSync('chattr', ['+a', '+d', join(disk.path, 'etc/only appended')])
  execFileSync('chattr', ['+A', join(disk.path, 'etc/ssl/inner')])
  return { disk, below: [{ volume: { volume: volume('sda', 1, '/', ext4(UUID, GIB), GIB), disk: 0, partition: 1, index: 0 }, device: '/dev/landfall-test-root', mountPoint: disk.path, volumeId: 'x' }] }
}

/** As fix-ups write, and as the replica's own programs do: in place, beside and renamed, a new file in a locked directory. */
function fix(root: string): void {
  writeFileSync(join(root, 'etc/fstab'), 'new\n')
  writeFileSync(join(root, 'etc/only appended'), 'less\n')
  writeFileSync(join(root, 'boot/grub.cfg.new'), 'menu\n')
  renameSync(join(root, 'boot/grub.cfg.new'), join(root, 'boot/grub.cfg'))
  writeFileSync(join(root, 'etc/ssl/deep/made'), 'm')
  writeFileSync(join(root, 'etc/ssl/new'), 'n')
}

/** Fails at the n-th call and behind it, as for a process that is killed. */
function dying(n: number): Runner {
  const runner = new ExecaRunner()
  let calls = 0
  return { run: async (...args) => {
    if (++calls >= n) throw new AppError('TOOL_FAILED', 'killed')
    return await runner.run(...args)
  } }
}

for (const layerOn of ['ext4', 'memory or what the tests lie on'] as const) {
  t.test(`locked files can be changed on a layer on ${layerOn}, and the volume ends as locked as it was`, { skip: noLoopDisks() }, async t => {
    const { disk, below } = replica()
    const other = layerOn === 'ext4' ? mountLoop('ext4', 64) : undefined
    const base = other?.path ?? t.testdir({})
    const runner = new ExecaRunner()
    const [layer, taken] = [join(base, 'layer'), join(base, 'taken')]
    try {
      const [first] = below
      const found = first === undefined ? [] : await flaggedFiles(first, signal)
      t.same(found.map(f => `${f.path} ${f.flags.toString(16)}`).sort(), ['boot/grub.cfg 10', 'etc/fstab 10', 'etc/only appended 60', 'etc/ssl 10010', 'etc/ssl/inner 80'])
      const before = seen(disk)
      {
        await using made = await FixUpLayer.make(layer, below, signal)
        fix(made.mounted[0]?.mountPoint ?? '')
        t.equal(seen(disk), before, 'the volume is as it was while the layer is there')
      }
      t.equal(seen(disk), before, 'a rehearsal leaves no trace')
      {
        await using made = await FixUpLayer.make(layer, below, signal)
        fix(made.mounted[0]?.mountPoint ?? '')
        await bringLayer(runner, made.layered, taken, nothing, signal)
      }
      t.same(['etc/fstab', 'etc/only appended', 'boot/grub.cfg', 'etc/ssl/new', 'etc/ssl/inner'].map(name => readFileSync(join(disk.path, name), 'utf8')), ['new\n', 'less\n', 'menu\n', 'n', 'old etc/ssl/inner\n'])
      for (const name of LOCKED) t.match(execFileSync('lsattr', ['-d', join(disk.path, name)], { encoding: 'utf8' }), name === 'etc/only appended' ? /^-----a/ : name === 'etc/ssl' ? /^---Di/ : /^----i/, `${name} is locked again`)
      t.throws(() => { writeFileSync(join(disk.path, 'etc/fstab'), 'x') }, { code: 'EPERM' })
      t.same(await takeBack(runner, below, taken, signal), { found: true })
      t.equal(seen(disk), before, 'taken back')
      for (let n = 1; layerOn !== 'ext4'; n++) {
        const whole = await (async () => {
          await using made = await FixUpLayer.make(layer, below, signal)
          fix(made.mounted[0]?.mountPoint ?? '')
          return await bringLayer(dying(n), made.layered, taken, nothing, signal).then(() => true, () => false)
        })()
        await takeBack(runner, below, taken, signal)
        const after = seen(disk)
        if (after !== before) t.equal(after, before, `broken off at call ${String(n)}`)
        if (whole) break
      }
    } finally {
      other?.[Symbol.dispose]()
      disk[Symbol.dispose]()
    }
  })
}
