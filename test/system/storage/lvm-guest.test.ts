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
import { ENCRYPTED, PASSPHRASE, SOURCE } from './lvm-source.ts'

const MIB = 1 << 20
const signal = AbortSignal.timeout(1_000_000)
const PROGRAMS = [
  'sh', 'chroot', 'mount', 'umount', 'mkdir', 'cat', 'mknod', 'sync', 'lvm', 'pvs', 'lvs', 'vgs', 'vgck', 'pvcreate', 'vgcfgrestore', 'vgchange', 'dmsetup', 'blkid', 'wipefs', 'swapon', 'swapoff', 'sfdisk', 'partx', 'blockdev',
  'mkfs.ext4', 'tune2fs', 'e2fsck', 'mkswap', 'cryptsetup',
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
  const sealed = readSource('clone', ENCRYPTED)
  const encrypted = planReplica({ jobId: 'job', workload: sealed.workload, options: options({ layout: sealed.layout }), places: places() })
  const root = join(directory, 'root.ext4')
  makeProgramRoot(directory, root, 'test/system/storage/lvm-guest-program.ts', PROGRAMS)
  const life = async (script: readonly string[]): Promise<readonly string[]> => {
    const output = await runInSmallGuest({
      programs: [], modules: ['dm-mod', 'dm-crypt', 'xts', 'ecb', 'aes_generic', 'sha256_generic', 'sha512_generic', 'algif_skcipher', 'algif_hash', 'crc32c_generic', 'ext4'], files: {}, diskSizesBytes: [...[...plan.disks, ...plan.disks].map(d => d.sizeBytes), 64 * MIB, 64 * MIB, ...encrypted.disks.map(d => d.sizeBytes)], disksIn: directory, root, timeoutMs: 400_000, script: `${BEGIN}${script.join('\n')}\n`,
    }, signal)
    t.comment(output.split('\n').filter(line => !line.startsWith('@ ')).join('\n'))
    return output.split('\n').filter(line => line.startsWith('@ ')).map(line => line.slice(2))
  }
  const holds = (i: number): string => `${String(i)} holds ${['/', '/fast'].map(name => `clone ${String(i)} ${name}`).join(', ')}`
  const names = ['fast', 'root', 'swap_1']
  const sees = (i: number): string[] => [
    `${String(i)} sees ${names.map(name => `mapper/my--vg-${name}`).join(' ')} ${names.map(name => `my-vg/${name}`).join(' ')}`, `${String(i)} root is shown as /dev/dm-N, which is mapper/my--vg-root`,
  ]
  const containers = [encrypted.volumeGroups?.[0]?.physicalVolumes[0]?.encryption, ...encrypted.volumes.map(v => v.encryption)].flatMap(e => e?.uuid ?? []).sort()
  const sealedMaps = [...containers.map(uuid => `luks_job3_${uuid}`), 'm_job3_my--vg-inner', 'm_job3_my--vg-root']
  t.same(await life([run('make:1', 'make-broken:2', 'encrypt:3', 'maps')]), [
    '1 the same again: true', ...sees(1), '2 made after 4 breaks',
    '3 the same again: true', '3 sees deep my--vg-inner my--vg-root vda1_crypt',
    `maps: ${[...[1, 2].flatMap(i => names.map(name => `m_job${String(i)}_my--vg-${name}`)), ...sealedMaps].sort().join(' ')}`,
  ], 'made side by side, wherever it breaks')

  const [group] = plan.volumeGroups ?? []
  const tags: Readonly<Record<string, string>> = { root: 'system' }
  const looked = (i: number): string[] => [
    'vgck 0', ...group?.physicalVolumes.map(({ uuid }) => `pv ${uuid}`) ?? [], ...names.map(name => `${group?.uuid ?? ''} ${name} ${group?.logicalVolumes.find(v => v.name === name)?.uuid ?? ''} oracle ${tags[name] ?? ''} enabled`),
    'vgchange 0', ...['/', '/fast'].map(name => `clone ${String(i)} ${name}`), 'swap 0', 'vgchange 0',
  ]
  t.same(await life([
    'vgchange -aay; echo "@ by themselves $?"', run('maps', 'hand-over:2', 'stale:1', 'hand-over:1', 'wrong-passphrase:3', 'hand-over:3', 'maps', 'contract'),
    'partx -a /dev/vda; partx -a /dev/vdc',
    // as the replica sees its disks: without the other's
    'for devices in /dev/vda1,/dev/vdb /dev/vdc1,/dev/vdd; do',
    'vgck --devices $devices my-vg; echo "@ vgck $?"; pvs --devices $devices --noheadings -o pv_uuid -O pv_name | while read uuid; do echo "@ pv $uuid"; done; lvs --devices $devices --noheadings --separator " " -o vg_uuid,lv_name,lv_uuid,vg_tags,lv_tags,vg_autoactivation | while read line; do echo "@ $line"; done',
    'vgchange --devices $devices -aay my-vg; echo "@ vgchange $?"; for name in root fast; do mount /dev/my-vg/$name /mnt; echo "@ $(cat /mnt/own)"; umount /mnt; done',
    'swapon /dev/my-vg/swap_1; echo "@ swap $?"; swapoff -a; vgchange --devices $devices -an my-vg; echo "@ vgchange $?"',
    'done',
    // the encrypted one by its own programs alone
    'partx -a /dev/vdg; open() { printf %s "$2" | cryptsetup open --type luks --key-file - $1 $3; echo "@ open $?"; }', 'echo "@ $(cryptsetup luksUUID /dev/vdg1)"',
    `open /dev/vdg1 "another one" x; open /dev/vdg1 "${PASSPHRASE}" vda1_crypt`, 'vgchange --devices /dev/mapper/vda1_crypt -aay my-vg; echo "@ vgchange $?"', `open /dev/my-vg/inner "${PASSPHRASE}" deep`,
    'for device in my--vg-root deep; do mount /dev/mapper/$device /mnt; echo "@ $(cat /mnt/own)"; umount /mnt; done',
  ]), [
    'by themselves 0', 'maps: ', holds(2), holds(1), '3 refused: VOLUME_LAYOUT', '3 holds clone 3 /, clone 3 /deep',
    'maps: ', ...GROUP_OBLIGATIONS.filter(o => o.shows).map(({ name }) => `ok: ${name}`), ...looked(1), ...looked(2),
    encrypted.volumeGroups?.[0]?.physicalVolumes[0]?.encryption?.uuid, 'open 2', 'open 0', 'vgchange 0', 'open 0', 'clone 3 /', 'clone 3 /deep',
  ], 'found after the crash, handed over, and as the source is')
})
