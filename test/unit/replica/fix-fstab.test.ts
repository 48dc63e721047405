import t from 'tap'
import { DeviceReferences } from '../../../src/replica/device-references.ts'
import { rewriteFstab } from '../../../src/replica/fix-fstab.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { debian12, options, places } from './workloads.ts'

const workload = debian12()
const references = new DeviceReferences(planReplica({ jobId: 'j', workload, options: options(), places: places() }), workload)
const rewrite = (text: string): string => rewriteFstab(text, references, new Set(['/swapfile'])).text

t.test('identifiers that were kept stay as they are', async t => {
  const text = [
    '# /etc/fstab: static file system information.', '', 'UUID=dd000000-0000-4000-8000-000000000002 /               ext4    errors=remount-ro 0       1',
    'LABEL=root /again ext4 noauto 0 0', 'PARTUUID=0b1c2d3e-0000-4000-8000-000000000001 /srv/data xfs defaults 0 2', 'PARTLABEL=data /x xfs noauto 0 0',
    '/dev/disk/by-uuid/dd000000-0000-4000-8000-000000000001 /boot ext4 defaults 0 2', 'UUID="dd000000-0000-4000-8000-000000000003" none swap sw 0 0', '',
  ].join('\n')
  t.equal(rewrite(text), text)
})

t.test('what is no local device stays as it is', async t => {
  const text = ['tmpfs /tmp tmpfs size=1g 0 0', 'proc /proc proc defaults 0 0', 'nas:/export /mnt nfs defaults 0 0', '//nas/share /smb cifs credentials=/root/.smb 0 0', '/srv/data/x /x none bind 0 0', '/swapfile none swap sw 0 0', '/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0'].join('\n')
  t.equal(rewrite(text), text)
})

t.test('names of the old hardware become UUIDs, with the rest of the line kept', async t => {
  t.equal(rewrite('/dev/vda2  /  ext4  errors=remount-ro 0 1 # root'), 'UUID=dd000000-0000-4000-8000-000000000002  /  ext4  errors=remount-ro 0 1 # root')
  t.equal(rewrite('/dev/vda5\tnone\tswap\tsw\t0\t0'), 'UUID=dd000000-0000-4000-8000-000000000003\tnone\tswap\tsw\t0\t0')
})

t.test('a name that says nothing is known by where it is mounted', async t => {
  t.equal(rewrite('/dev/disk/by-id/virtio-abc-part1 /srv/data xfs defaults 0 2'), 'UUID=dd000000-0000-4000-8000-000000000004 /srv/data xfs defaults 0 2')
})

t.test('a volume that is not on the replica becomes a comment, so that no boot waits for it', async t => {
  for (const line of ['/dev/vdc1 /old ext4 defaults 0 2', 'UUID=00000000-0000-4000-8000-000000000099 /old xfs defaults 0 2', '/lost-swapfile none swap sw 0 0', '/dev/mapper/vg-old /old xfs defaults 0 0']) {
    t.equal(rewrite(line), `# landfall: not migrated: ${line}`)
  }
})

t.test('a root that the replica does not have stops the cutover', async t => {
  t.throws(() => rewrite('UUID=00000000-0000-4000-8000-000000000099 / ext4 defaults 0 1'), { code: 'BOOT_FIXUP_FAILED' })
})

t.test('options of the old disk array and old subvolume ids go', async t => {
  t.equal(rewrite('UUID=dd000000-0000-4000-8000-000000000004 /srv/data xfs noatime,sunit=128,swidth=512,logbsize=256k 0 2'), 'UUID=dd000000-0000-4000-8000-000000000004 /srv/data xfs noatime 0 2')
  t.equal(rewrite('UUID=dd000000-0000-4000-8000-000000000004 /srv/data xfs sunit=128 0 2'), 'UUID=dd000000-0000-4000-8000-000000000004 /srv/data xfs defaults 0 2')
})

t.test('rewriting what was rewritten changes nothing', async t => {
  const once = rewrite('/dev/vda2 / ext4 defaults 0 1\n/dev/vdz1 /gone ext4 defaults 0 2\n')
  t.equal(rewrite(once), once)
})
