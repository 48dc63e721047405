/**
 * The replicas of two clones at once on one appliance, for real: our own code makes their volume groups in a guest, because the host has no device mapper.
 * The guest is cut off in the middle; in its second life everything is found again, handed over, and looked at by LVM alone.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { planReplica } from '../../../src/replica/plan.ts'
import { noLoopDisks } from '../../contract/loop-disks.ts'
import { readSource } from '../../unit/replica/source-text.ts'
import { options, places } from '../../unit/replica/workloads.ts'
import { makeProgramRoot } from '../../zoo/program-root.ts'
import { runInSmallGuest } from '../../zoo/small-guest.ts'
import { SOURCE } from './lvm-source.ts'

const MIB = 1 << 20
const signal = AbortSignal.timeout(600_000)
const PROGRAMS = [
  'sh', 'chroot', 'mount', 'umount', 'mkdir', 'cat', 'mknod', 'sync', 'lvm', 'pvs', 'lvs', 'vgs', 'vgck', 'pvcreate', 'vgcfgrestore', 'vgchange', 'dmsetup', 'blkid', 'wipefs', 'dd', 'swapon', 'swapoff', 'sfdisk', 'partx', 'blockdev',
  'mkfs.ext4', 'tune2fs', 'e2fsck', 'mkfs.xfs', 'xfs_repair', 'xfs_admin', 'xfs_db', 'mkswap',
]
/** no udev there: LVM makes the nodes itself; a plain command of LVM may show what it likes */
const BEGIN = 'mkdir -p /etc/lvm /run/lock; echo "activation { udev_sync=0 udev_rules=0 }" > /etc/lvm/lvm.conf\n'

/** The program's steps, in one process: Node's start is the dearest thing in an emulated machine. */
function run(...steps: readonly string[]): string {
  return `node /code/test/system/storage/lvm-guest-program.js ${steps.join(' ')}`
}

t.test('clones live side by side through a crash and end as their source is', { skip: noLoopDisks(), timeout: 600_000 }, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-lvm-'))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  const { workload, layout } = readSource('clone', SOURCE)
  const plan = planReplica({ jobId: 'job', workload, options: options({ layout }), places: places() })
  const root = join(directory, 'root.ext4')
  makeProgramRoot(directory, root, 'test/system/storage/lvm-guest-program.ts', PROGRAMS)
  const life = async (script: readonly string[]): Promise<readonly string[]> => {
    const output = await runInSmallGuest({
      programs: [], modules: ['dm-mod', 'crc32c_generic', 'ext4', 'xfs'], files: {}, diskSizesBytes: [...[...plan.disks, ...plan.disks].map(d => d.sizeBytes), 64 * MIB, 64 * MIB], disksIn: directory, root, timeoutMs: 280_000, script: `${BEGIN}${script.join('\n')}\n`,
    }, signal)
    t.comment(output)
    return output.split('\n').filter(line => line.startsWith('@ ')).map(line => line.slice(2))
  }
  const first = await life([run('make:1', 'make-broken:2', 'make:2', 'look:1', 'look:2', 'assemble:1', 'maps')])
  const second = await life([
    'vgchange -aay; echo "@ vgchange -aay $?"', run('maps', 'look:1', 'look:2', 'assemble:2', 'hand-over:1', 'look:1', 'hand-over:1', 'hand-over-broken:2', 'maps', 'contract'),
    'for devices in /dev/vda2,/dev/vdb /dev/vdc2,/dev/vdd; do',
    'partx -a /dev/vda; partx -a /dev/vdc',
    'vgck --devices $devices my-vg; echo "@ vgck $?"; lvs --devices $devices --noheadings --separator " " -o vg_uuid,lv_name,lv_uuid,lv_size,vg_tags,lv_tags,vg_autoactivation | while read line; do echo "@ $line"; done',
    'vgchange --devices $devices -aay my-vg; echo "@ vgchange $?"; for name in root fast data; do mount -o nouuid /dev/my-vg/$name /mnt || mount /dev/my-vg/$name /mnt; echo "@ $(cat /mnt/own)"; umount /mnt; done; swapon /dev/my-vg/swap_1; echo "@ swap $?"; swapoff -a; vgchange --devices $devices -an my-vg; echo "@ vgchange $?"',
    'done',
  ])
  t.same(first, [])
  t.same(second, [])
})
