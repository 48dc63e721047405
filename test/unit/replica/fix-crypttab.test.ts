import t from 'tap'
import { DeviceReferences } from '../../../src/replica/device-references.ts'
import { openedForRoot, rewriteCrypttab } from '../../../src/replica/fix-crypttab.ts'
import { rewriteCommandLine } from '../../../src/replica/kernel-command-line.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { readSource } from './source-text.ts'
import { options, places } from './workloads.ts'

const TEXT = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk sda 40G dos\npart 1 1M 1G 83 boot\npart 2 1025M 20G 83\npart 3 22000M 9G 83\nluks sda2_crypt sda2 LUKS2\nvg v sda2_crypt\nlv v/root 15G\nlv v/swap 1G\nluks data sda3 LUKS1\n'
  + 'fs /boot sda1 ext4:2016\nfs / v/root ext4:2016\nswap v/swap\nfs /data data ext4:2016\n'
const { workload } = readSource('crypttab', TEXT)
const planned = (encryption: 'decrypt' | 're-encrypt'): ReturnType<typeof planReplica> => planReplica({ jobId: 'j', workload, options: options({ layout: { disks: 'matching', sizes: [], groups: [], encryption } }), places: places() })
const plan = planned('re-encrypt')
const references = new DeviceReferences(plan, workload)
const ROOT = references.openedAs('sda2_crypt') ?? ''
const DATA = references.openedAs('data') ?? ''
const none = new Set<string>()

t.test('a container below a volume group is known by name and UUID, and has to be open before the root', async t => {
  t.match([ROOT, DATA], [/^[0-9a-f-]{36}$/, /^[0-9a-f-]{36}$/])
  t.ok(references.hasLuks(ROOT))
  t.same([...openedForRoot(plan)], ['sda2_crypt'])
  t.same([...openedForRoot(planned('decrypt'))], [])
  const swapOnly = { volumes: plan.volumes.map(v => (v.volume.fileSystem.type === 'swap' ? { ...v, logicalVolume: { group: 'other', name: 's' } } : { ...v, logicalVolume: { group: 'third', name: 'r' } })), volumeGroups: plan.volumeGroups?.map(g => ({ ...g, name: 'other' })) }
  t.same([[...openedForRoot(swapOnly)], [...openedForRoot(swapOnly, 'early')]], [[], ['sda2_crypt']], 'the root is found without swap')
})

t.test('what is not encrypted on the replica is not unlocked, also where its device is there', async t => {
  const text = `# <target>\nsda2_crypt UUID=${ROOT} none luks,discard\nold UUID=0a0a0a0a-1111-4000-8000-000000000009 none luks\nother /dev/sda1 /etc/key luks\nroot2 /dev/v/root none luks\ncswap /dev/sda5 /dev/urandom swap\n`
  t.equal(rewriteCrypttab(text, references, none).text, `# <target>\nsda2_crypt UUID=${ROOT} none luks,discard\n# landfall: not encrypted any more: old UUID=0a0a0a0a-1111-4000-8000-000000000009 none luks\n# landfall: not encrypted any more: other /dev/sda1 /etc/key luks\n`
    + '# landfall: not encrypted any more: root2 /dev/v/root none luks\n# landfall: not encrypted any more: cswap /dev/sda5 /dev/urandom swap\n')
})

t.test('what is encrypted anew is named by its UUID and asks for its passphrase: no key file, token or TPM of the source opens it', async t => {
  const text = `sda2_crypt UUID=${ROOT} - tpm2-device=auto,tpm2-pcrs=7\ndata /dev/disk/by-id/ata-X-part3 /etc/keys/data luks,discard,keyfile-size=4096,nofail\n`
  const fixed = rewriteCrypttab(text, references, none)
  t.equal(fixed.text, `sda2_crypt UUID=${ROOT} none luks\ndata UUID=${DATA} none luks,discard,nofail\n`)
  t.match(fixed.messages, [/sda2_crypt .* passphrase/, /data .* passphrase/])
  t.equal(rewriteCrypttab(fixed.text, references, none).text, fixed.text, 'again')
})

t.test('Debian\'s initramfs is told what it has to open, because it cannot find that out', async t => {
  const early = openedForRoot(plan)
  const fixed = rewriteCrypttab(`sda2_crypt UUID=${ROOT} none luks,discard\n`, references, early)
  t.equal(fixed.text, `sda2_crypt UUID=${ROOT} none luks,discard,initramfs\n`)
  t.strictSame(rewriteCrypttab(fixed.text, references, early), { text: fixed.text, messages: [] }, 'again')
  t.equal(rewriteCrypttab('# nothing', references, early).text, `# nothing\nsda2_crypt UUID=${ROOT} none luks,initramfs\n`, 'also where no line names it')
})

t.test('the kernel is not told of keys of the source, and still of the container', async t => {
  t.equal(rewriteCommandLine(`root=/dev/mapper/v-root rd.luks.uuid=luks-${ROOT} rd.luks.key=/k:UUID=1 rd.luks.options=tpm2-device=auto rd.luks.uuid=luks-0a0a0a0a-1111-4000-8000-000000000009 quiet`, references).text, `root=/dev/mapper/v-root rd.luks.uuid=luks-${ROOT} quiet`)
})
