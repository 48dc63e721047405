/** What grub-install is told where the menu lies on a logical volume. That GRUB then finds it, was seen with a real one (docs/lvm.md). */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DEBIAN_GRUB, installGrub2 } from '../../../src/replica/fix-boot-loader.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { readSource } from './source-text.ts'
import { options, places } from './workloads.ts'

const SYSTEM = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk sda 20G dos\npart 1 1M 1G 83 boot\npart 2 1025M 15G 8e\nvg v sda2\nlv v/root 10G\nfs / v/root ext4:2016\n'

async function argumentsFor(t: Test, text: string): Promise<string[]> {
  const { workload, layout } = readSource('grub', text)
  const root = t.testdir({ boot: { grub: { 'i386-pc': {} } }, usr: { lib: { grub: { 'i386-pc': {} } } } })
  await using files = await ReplicaFiles.open(root)
  const called: string[] = []
  await installGrub2(DEBIAN_GRUB).fix({
    plan: planReplica({ jobId: 'j', workload, options: options({ layout }), places: places() }), workload, options: options(), files, bootDevice: '/dev/sdc', bootDiskUuid: '',
    run: async (_program, args) => {
      called.push(...args)
      writeFileSync(join(root, 'boot/grub/i386-pc/core.img'), 'core')
      return { stdout: '', stderr: '', exitCode: 0, durationMs: 1 }
    },
  }, AbortSignal.timeout(10_000))
  return called
}

t.test('LVM\'s modules are added where /boot is on a logical volume, and nowhere else', async t => {
  t.same(await argumentsFor(t, SYSTEM), ['--target=i386-pc', '--no-floppy', '--modules=part_gpt part_msdos lvm', '/dev/sdc'])
  t.same(await argumentsFor(t, `${SYSTEM}fs /boot sda1 ext4:2016\n`), ['--target=i386-pc', '--no-floppy', '/dev/sdc'])
})
