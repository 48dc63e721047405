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
import { GROUP_OBLIGATIONS } from '../../contract/volume-group.contract.ts'
import { readSource } from '../../unit/replica/source-text.ts'
import { options, places } from '../../unit/replica/workloads.ts'
import { makeProgramRoot } from '../../zoo/program-root.ts'
import { runInSmallGuest } from '../../zoo/small-guest.ts'
import { SOURCE } from './lvm-source.ts'

const MIB = 1 << 20
const signal = AbortSignal.timeout(1_000_000)
const PROGRAMS = [
  'sh', 'chroot', 'mount', 'umount', 'mkdir', 'cat', 'mknod', 'sync', 'lvm', 'pvs', 'lvs', 'vgs', 'vgck', 'pvcreate', 'vgcfgrestore', 'vgchange', 'dmsetup', 'blkid', 'wipefs', 'swapon', 'swapoff', 'sfdisk', 'partx', 'blockdev',
  'mkfs.ext4', 'tune2fs', 'e2fsck', 'mkswap',
]
/** no udev there: LVM makes the nodes itself; a plain command of LVM may show what it likes */
const BEGIN = 'mkdir -p /etc/lvm /run/lock; echo "activation { udev_sync=0 udev_rules=0 }" > /etc/lvm/lvm.conf\n'

/** The program's steps, in one process: Node's start is the dearest thing in an emulated machine. */
function run(...steps: readonly string[]): string {
  return `LANDFALL_LOG_LEVEL=warn node /code/test/system/storage/lvm-guest-program.js ${steps.join(' ')}`
}

t.test('clones live side by side through a crash and end as their source is', { skip: noLoopDisks(), timeout: 1_100_000 }, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-lvm-'))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  const { workload, layout } = readSource('clone', SOURCE)
  const plan = planReplica({ jobId: 'job', workload, options: options({ layout }), places: places() })
  const root = join(directory, 'root.ext4')
  makeProgramRoot(directory, root, 'test/system/storage/lvm-guest-program.ts', PROGRAMS)
  const life = async (script: readonly string[]): Promise<readonly string[]> => {
    const output = await runInSmallGuest({
      programs: [], modules: ['dm-mod', 'crc32c_generic', 'ext4'], files: {}, diskSizesBytes: [...[...plan.disks, ...plan.disks].map(d => d.sizeBytes), 64 * MIB, 64 * MIB], disksIn: directory, root, timeoutMs: 290_000, script: `${BEGIN}${script.join('\n')}\n`,
    }, signal)
    t.comment(output.split('\n').filter(line => !line.startsWith('@ ')).join('\n'))
    return output.split('\n').filter(line => line.startsWith('@ ')).map(line => line.slice(2))
  }
  const holds = (i: number): string => `${String(i)} holds ${['/', '/fast'].map(name => `clone ${String(i)} ${name}`).join(', ')}`
  const names = ['fast', 'root', 'swap_1']
  const sees = (i: number): string[] => [
    `${String(i)} sees ${names.map(name => `mapper/my--vg-${name}`).join(' ')} ${names.map(name => `my-vg/${name}`).join(' ')}`, `${String(i)} root is shown as /dev/dm-N, which is mapper/my--vg-root`,
  ]
  t.same(await life([run('make:1', 'make-broken:2', 'maps')]), [
    '1 the same again: true', ...sees(1), '2 made after 4 breaks', `maps: ${[1, 2].flatMap(i => names.map(name => `m_job${String(i)}_my--vg-${name}`)).join(' ')}`,
  ], 'made side by side, wherever it breaks')

  const [group] = plan.volumeGroups ?? []
  const tags: Readonly<Record<string, string>> = { root: 'system' }
  const looked = (i: number): string[] => [
    'vgck 0', ...names.map(name => `${group?.uuid ?? ''} ${name} ${group?.logicalVolumes.find(v => v.name === name)?.uuid ?? ''} oracle ${tags[name] ?? ''} enabled`),
    'vgchange 0', ...['/', '/fast'].map(name => `clone ${String(i)} ${name}`), 'swap 0', 'vgchange 0',
  ]
  t.same(await life([
    'vgchange -aay; echo "@ by themselves $?"', run('maps', 'hand-over:2', 'stale:1', 'hand-over:1', 'maps', 'contract'),
    'partx -a /dev/vda; partx -a /dev/vdc',
    // as the replica sees its disks: without the other's
    'for devices in /dev/vda1,/dev/vdb /dev/vdc1,/dev/vdd; do',
    'vgck --devices $devices my-vg; echo "@ vgck $?"; lvs --devices $devices --noheadings --separator " " -o vg_uuid,lv_name,lv_uuid,vg_tags,lv_tags,vg_autoactivation | while read line; do echo "@ $line"; done',
    'vgchange --devices $devices -aay my-vg; echo "@ vgchange $?"; for name in root fast; do mount /dev/my-vg/$name /mnt; echo "@ $(cat /mnt/own)"; umount /mnt; done',
    'swapon /dev/my-vg/swap_1; echo "@ swap $?"; swapoff -a; vgchange --devices $devices -an my-vg; echo "@ vgchange $?"',
    'done',
  ]), [
    'by themselves 0', 'maps: ', holds(2), holds(1), 'maps: ', ...GROUP_OBLIGATIONS.filter(o => o.shows).map(({ name }) => `ok: ${name}`), ...looked(1), ...looked(2),
  ], 'found after the crash, handed over, and as the source is')
})
