/**
 * GRUB of a real Debian tree (the lab's cached one) on a btrfs whose root is a subvolume, on a loop disk: it finds its files from the top of the file system,
 * installed on a layer and on the volumes themselves, and starts the kernel. That has no btrfs in this tree, so it goes no further.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runInRoot } from '../../../src/command/chroot.ts'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { DEBIAN_GRUB, checkMenu, installGrub2 } from '../../../src/replica/fix-boot-loader.ts'
import type { AssembledReplica } from '../../../src/replica/fix-up.ts'
import { FixUpLayer } from '../../../src/replica/fix-up-layer.ts'
import { menuEntries } from '../../../src/replica/grub-menu.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { LinuxVolumeStack } from '../../../src/storage/linux-volume-stack.ts'
import { partitionDevice, type MountedVolume } from '../../../src/storage/volume-stack.ts'
import { makeLoopDisks, noLoopDisks } from '../../contract/loop-disks.ts'
import { readSource } from '../../unit/replica/source-text.ts'
import { options, places } from '../../unit/replica/workloads.ts'

const CACHE = join(import.meta.dirname, '../../../.lab/cache')
const BOOT_MS = 240_000
const SOURCE = [
  'os debian 12 "Debian" bios grub2 initramfs-tools', 'disk vda 1900M dos', 'part 1 1M 1890M 83 boot', 'subvolumes vda1 @rootfs,@home', 'fs / vda1 btrfs:2022 rw subvol=@rootfs', 'fs /home vda1 btrfs:2022 rw subvol=@home', '',
].join('\n')

function rootTree(): string | undefined {
  try {
    return readdirSync(CACHE).filter(name => /^root-.*[.]tar$/.test(name)).sort().map(name => join(CACHE, name))[0]
  } catch {
    return undefined
  }
}

function skipReason(): string | false {
  const loops = noLoopDisks()
  if (loops !== false || rootTree() !== undefined) return loops
  if (process.env['REQUIRE_SYSTEM'] === '1') throw new Error('the lab has no cached root tree: run "npm run lab -- migrate" once')
  return 'needs the cached root tree of the lab'
}

/** Starts the disk in QEMU until its kernel tells its command line; what the console said when it does not. */
async function commandLine(disk: string): Promise<string> {
  const machine = spawn('qemu-system-x86_64', ['-accel', 'tcg', '-m', '512', '-nographic', '-no-reboot', '-nic', 'none', '-snapshot', '-drive', `file=${disk},format=raw,if=ide`], { stdio: ['ignore', 'pipe', 'ignore'], timeout: BOOT_MS })
  let console = ''
  try {
    for await (const chunk of machine.stdout) {
      console += String(chunk)
      const [line] = /BOOT_IMAGE=.*\n/.exec(console) ?? []
      if (line !== undefined) return line
    }
    return console
  } finally {
    machine.kill('SIGKILL')
  }
}

t.test('GRUB on a btrfs names its files from the top', { skip: skipReason(), timeout: 1_100_000 }, async t => {
  const { workload, layout } = readSource('btrfs', SOURCE)
  const plan = planReplica({ jobId: 'btrfs', workload, options: options({ layout }), places: places() })
  const uuid = plan.volumes[0]?.volume.fileSystem.uuid ?? ''
  using disks = makeLoopDisks(plan.disks.map(d => d.sizeBytes))
  const signal = AbortSignal.timeout(1_000_000)
  const runner = new ExecaRunner()
  const stack = new LinuxVolumeStack({ runner, stateDirectory: join(disks.directory, 'state'), devicesBySerial: join(disks.directory, 'by-serial') })
  const device = await stack.deviceOf(disks.diskUuids[0] ?? '', signal)
  const [disk] = plan.disks
  if (disk !== undefined) await stack.partition(device, disk, signal)
  const placed = plan.volumes.map(v => ({ volume: v, device: partitionDevice(device, v.partition) }))
  for (const p of placed) await stack.format(p.device, p.volume, signal)
  const mounted = await stack.mount('btrfs', placed, signal)
  t.same(mounted.map(m => m.volume.volume.mountPoint), ['/', '/home'])
  const root = mounted[0]?.mountPoint ?? ''
  execFileSync('tar', ['-C', root, '--numeric-owner', '-xpf', rootTree() ?? '', '--exclude=./usr/lib/modules/*/kernel/*'])
  mkdirSync(join(root, 'etc/default/grub.d'), { recursive: true })
  writeFileSync(join(root, 'etc/default/grub.d/console.cfg'), 'GRUB_CMDLINE_LINUX=console=ttyS0\nGRUB_CMDLINE_LINUX_DEFAULT=\nGRUB_TIMEOUT=0\n')

  /** What GRUB put behind the first sector, and the menu, made on these volumes. */
  const install = async (jobId: string, on: readonly MountedVolume[], rehearsal: boolean): Promise<{ core: Buffer, menu: string }> => {
    const assembled = await stack.assemble(jobId, on, [device], signal)
    try {
      await using files = await ReplicaFiles.open(assembled)
      const replica: AssembledReplica = {
        plan, workload, options: options(), files, bootDevice: device, bootDiskUuid: '', rehearsal, run: async (program, args, o, inner) => await runInRoot(runner, assembled, program, args, o, inner),
      }
      await installGrub2(DEBIAN_GRUB).fix(replica, signal)
      await checkMenu(DEBIAN_GRUB).fix(replica, signal)
      t.same(await checkMenu(DEBIAN_GRUB).fix(replica, signal), [], 'what was made is right')
      return { core: readFileSync(join(assembled, 'boot/grub/i386-pc/core.img')), menu: readFileSync(join(assembled, 'boot/grub/grub.cfg'), 'utf8') }
    } finally {
      await stack.disassemble(jobId, signal)
    }
  }
  const check = ({ menu }: { menu: string }, what: string): void => {
    const [entry] = menuEntries(menu)
    t.match(entry, { kernel: /^\/@rootfs\/boot\/vmlinuz-/, root: `UUID=${uuid}`, searched: [uuid] }, what)
    t.match(menu, /\slinux\s.*rootflags=subvol=@rootfs/, what)
  }
  let onLayer: Buffer
  {
    await using layer = await FixUpLayer.make(join(disks.directory, 'layer'), mounted, signal)
    const made = await install('btrfs-rehearsal', layer.mounted, true)
    check(made, 'on a layer')
    onLayer = made.core
    await stack.release('btrfs-rehearsal', [], signal, { check: false })
  }
  t.notOk(readdirSync(join(root, 'boot/grub')).includes('i386-pc'), 'the layer left nothing')
  const made = await install('btrfs', mounted, false)
  check(made, 'on the volumes')
  t.ok(made.core.equals(onLayer), 'a layer makes the same core image, which knows where its files are')
  await stack.release('btrfs', [device], signal)
  t.match(await commandLine(join(disks.directory, 'disk0.raw')), new RegExp(`BOOT_IMAGE=/@rootfs/boot/vmlinuz-\\S+ root=UUID=${uuid} .*rootflags=subvol=@rootfs`), 'the kernel was started')
})
