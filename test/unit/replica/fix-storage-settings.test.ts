import t from 'tap'
import { DeviceReferences } from '../../../src/replica/device-references.ts'
import { relaxLvm, rewriteCrypttab } from '../../../src/replica/fix-storage-settings.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { readSource } from './source-text.ts'
import { debian12, options, places } from './workloads.ts'

const workload = debian12()
const plan = planReplica({ jobId: 'j', workload, options: options(), places: places() })
const LUKS = '0a0a0a0a-1111-4000-8000-000000000001'
const kept = { ...plan, volumes: plan.volumes.map((v, i) => (i === 0 ? { ...v, encryption: { name: 'luks-root', type: 'luks2' as const, uuid: LUKS, label: '', cipher: 'aes-xts-plain64', keyBits: 512 } } : v)) }

t.test('what is not encrypted on the replica is not unlocked', async t => {
  const text = `# <target>\nluks-root UUID=${LUKS} none luks,discard\nold UUID=0a0a0a0a-1111-4000-8000-000000000009 none luks\ndata /dev/vdb1 /etc/key luks\ncswap /dev/vda5 /dev/urandom swap\n`
  t.equal(rewriteCrypttab(text, new DeviceReferences(kept, workload)).text, `# <target>\nluks-root UUID=${LUKS} none luks,discard\n# landfall: not encrypted any more: old UUID=0a0a0a0a-1111-4000-8000-000000000009 none luks\n# landfall: not encrypted any more: data /dev/vdb1 /etc/key luks\ncswap /dev/vda5 /dev/urandom swap\n`)
})

t.test('a logical volume that held a container is no container any more: its line would ask for a passphrase that nothing takes', async t => {
  const text = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk sda 20G dos\npart 1 1M 9G 83 boot\npart 2 10241M 8G 8e\nvg v sda2\nlv v/inner 4G\nluks data v/inner LUKS2\nfs / sda1 ext4:2016\nfs /data data ext4:2016\n'
  const source = readSource('crypttab', text)
  const references = new DeviceReferences(planReplica({ jobId: 'j', workload: source.workload, options: options({ layout: source.layout }), places: places() }), source.workload)
  t.equal(rewriteCrypttab('data /dev/v/inner none luks\n', references).text, '# landfall: not encrypted any more: data /dev/v/inner none luks\n')
})

t.test('a TPM of the old hardware unlocks nothing', async t => {
  const fixed = rewriteCrypttab(`luks-root UUID=${LUKS} none luks,tpm2-device=auto,tpm2-pcrs=7\n`, new DeviceReferences(kept, workload))
  t.equal(fixed.text, `luks-root UUID=${LUKS} none luks\n`)
  t.match(fixed.messages, [/passphrase/])
})

t.test('filters of LVM go when they refuse or name devices; what lets all in stays', async t => {
  t.equal(relaxLvm('devices {\n\tfilter = [ "a|.*/|" ]\n\tglobal_filter=["a|/dev/sda2|", "r|.*|"]\n\t# filter = [ "r|.*|" ]\n\tuse_devicesfile = 1\n}\nglobal {\n\tuse_lvmlockd = 1\n\tlocking_type = 3\n\tsystem_id_source = "uname"\n}\n').text,
    'devices {\n\tfilter = [ "a|.*/|" ]\n\t# landfall: global_filter=["a|/dev/sda2|", "r|.*|"]\n\t# filter = [ "r|.*|" ]\n\tuse_devicesfile = 1\n}\nglobal {\n\t# landfall: use_lvmlockd = 1\n\t# landfall: locking_type = 3\n\tsystem_id_source = "uname"\n}\n')
})
