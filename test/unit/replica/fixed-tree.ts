/** The boot fix-ups of a recorded system, run in their order on its tree; the guest's tools are played, and what they are called with is kept. */
import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { fixUpsOf } from '../../../src/replica/boot-fix-ups.ts'
import type { AssembledReplica, GuestOptions } from '../../../src/replica/fix-up.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { ROOT_UUID, workloadOf, type RecordedSystem } from './root-trees.ts'
import { options, places } from './workloads.ts'

/** What the shell of GRUB 0.97 says, recorded from Debian's package on a loop device with ext3, run as the product runs it. */
export const GRUB_EMBEDS = `grub> device (hd0) /dev/sdz
grub> root (hd0,0)
 Filesystem type is ext2fs, partition type 0x83
grub> setup (hd0)
 Checking if "/boot/grub/stage1" exists... no
 Checking if "/grub/stage1" exists... yes
 Checking if "/grub/stage2" exists... yes
 Checking if "/grub/e2fs_stage1_5" exists... yes
 Running "embed /grub/e2fs_stage1_5 (hd0)"...  19 sectors are embedded.
succeeded
 Running "install /grub/stage1 (hd0) (hd0)1+19 p (hd0,0)/grub/stage2 /grub/menu.lst"...`
/** What a script of the source's own in /etc/grub.d adds to a menu that is made anew. */
export const CUSTOM_ENTRY = `menuentry 'own' {\n linux /vmlinuz root=UUID=${ROOT_UUID} rd.md.uuid=9:9 quiet\n}\n`
export const LUKS_UUID = '0a0a0a0a-1111-4000-8000-00000000000c'
export const DISK_UUID = '6000c290000000000000000000000001'

export interface Done { read: (path: string) => string, exists: (path: string) => boolean, calls: string[], environments: Record<string, GuestOptions['env']>, messages: Record<string, readonly string[]>, mac: string, again: () => Promise<void> }

/** Runs them all on the system's tree. @param missing drivers that the played initramfs tool leaves out */
export async function fixed(t: Test, system: RecordedSystem & { dropsItems?: boolean }, missing: readonly string[] = [], grubOutput = `${GRUB_EMBEDS} succeeded\nDone.\ngrub> quit\n`, on: 'plain' | 'logical' | 'encrypted' = 'plain', programs: readonly string[] = ['lvm', 'systemd-cryptsetup']): Promise<Done> {
  const root = t.testdir(system.tree)
  const workload = workloadOf(system)
  const plan = { ...planReplica({ jobId: 'j', workload, options: options(), places: places() }), firmware: system.firmware }
  for (const v of plan.volumes) {
    if (v.volume.mountPoint !== '/') continue
    if (on === 'logical') v.logicalVolume = { group: 'v', name: 'root' }
    if (on === 'encrypted') v.encryption = { name: 'cr_root', type: 'LUKS2', uuid: LUKS_UUID, label: '', cipher: 'aes-xts-plain64', keyBits: 512, headerBytes: 16 << 20, keyDerivation: 'argon2id' }
  }
  const files = await ReplicaFiles.open(root)
  t.teardown(async () => { await files[Symbol.asyncDispose]() })
  const calls: string[] = []
  const environments: Done['environments'] = {}
  const drivers = system.drivers.filter(d => !missing.includes(d))
  const make = (path: string, text: string): void => { writeFileSync(join(root, path), text) }
  /** What the configuration of dracut says besides drivers. */
  const installed = (): string[] => system.dropsItems === true ? [] : [...readFileSync(join(root, 'etc/dracut.conf.d/99-landfall.conf'), 'utf8').matchAll(/^install_items\+=" (.*) "$/gm)].flatMap(m => (m[1] ?? '').split(' ')).map(path => path.slice(1))
  const installedLinks = (): string[] => ['etc/systemd/network', 'etc/udev/rules.d'].flatMap(folder => existsSync(join(root, folder)) ? readdirSync(join(root, folder)).map(name => `${folder}/${name}`) : [])
  const answer = (program: string, args: readonly string[]): string => {
    switch (program) {
      case 'dracut': make(args.at(-2) ?? '', 'new'); return ''
      case 'mkinitrd': make(system.os.id === 'sles' ? `boot/initrd-${system.kernel}` : args.at(-2) ?? '', 'new'); return ''
      case 'lsinitrd': return `Image: ${args[0] ?? ''}: 20M\n${[...drivers, 'ext4', 'dm-crypt'].map(d => `-rw-r--r--   1 root     root        12345 Jan  1 10:20 usr/lib/modules/${system.kernel}/kernel/drivers/${d}.ko.xz`).join('\n')}\n${[...installed(), ...programs.map(name => `usr/sbin/${name}`)].map(path => `-rwxr-xr-x 1 root root 1 Jan  1 10:20 ${path}\n`).join('')}lrwxrwxrwx   1 root root 7 Jan  1 10:20 bin -> usr/bin\n`
      case 'sh': return [...[...drivers, 'ext3'].map(d => `lib/${d}.ko`), ...programs.map(name => `sbin/${name}`)].join('\n')
      case 'update-initramfs': make(`boot/initrd.img-${args.at(-1) ?? ''}`, 'new'); return ''
      case 'lsinitramfs': return [...drivers, 'ext4'].map(d => `usr/lib/modules/${system.kernel}/kernel/drivers/${d}.ko`).concat(installedLinks()).join('\n')
      case 'grub-install': make('boot/grub/i386-pc/core.img', 'core'); return ''
      case 'grub': return grubOutput
      case 'grub2-install': make('boot/grub2/i386-pc/core.img', 'core'); return ''
      case 'grub2-mkconfig': make(args[1] ?? '', readFileSync(join(root, args[1] ?? ''), 'utf8').replace('00000000-0000-4000-8000-000000000099', ROOT_UUID) + CUSTOM_ENTRY); return ''
      default: throw new Error(`no program ${program} is played`)
    }
  }
  const replica: AssembledReplica = {
    plan, workload, options: options(), files, bootDevice: '/dev/sdc', bootDiskUuid: DISK_UUID,
    run: async (program: string, args: readonly string[], { input, env }: GuestOptions) => {
      environments[program] = env
      calls.push([program, ...args].join(' ') + (input === undefined ? '' : ` < ${input}`))
      return { stdout: answer(program, args), stderr: '', exitCode: 0, durationMs: 1 }
    },
  }
  const messages: Record<string, readonly string[]> = {}
  const all = async (): Promise<void> => { for (const fixUp of fixUpsOf({ workload, plan })) messages[fixUp.id] = [...messages[fixUp.id] ?? [], ...await fixUp.fix(replica, AbortSignal.timeout(60_000))] }
  await all()
  return { calls, environments, messages, mac: plan.adapters[0]?.mac ?? '', read: path => readFileSync(join(root, path), 'utf8'), exists: path => lstatSync(join(root, path), { throwIfNoEntry: false }) !== undefined, again: all }
}

/** Run again, the files that matter are as they were. */
export async function settles(t: Test, { again, read }: Done, paths: readonly string[]): Promise<void> {
  const before = paths.map(read)
  await again()
  t.same(paths.map(read), before, 'done again it ends in the same')
}
