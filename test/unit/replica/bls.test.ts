import t from 'tap'
import { parseBlsEntry, parseEnvironment, rewriteBlsEntry, rewriteEnvironment } from '../../../src/replica/bls.ts'
import { DeviceReferences } from '../../../src/replica/device-references.ts'
import { legacyEntries, rewriteLegacyMenu } from '../../../src/replica/grub-legacy.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { debian12, options, places } from './workloads.ts'

const workload = debian12()
const references = new DeviceReferences(planReplica({ jobId: 'j', workload, options: options(), places: places() }), workload)
const ROOT = 'UUID=dd000000-0000-4000-8000-000000000002'

t.test('an entry with variables of GRUB\'s environment', async t => {
  const environment = parseEnvironment('# GRUB Environment Block\nkernelopts=root=/dev/x ro quiet\ntuned_initrd=/tuned.img\n####')
  t.same(parseBlsEntry('title A\nversion 1\nlinux /vmlinuz-1\ninitrd /initramfs-1.img $tuned_initrd\noptions $kernelopts ${extra}x\n', environment), { title: 'A', version: '1', kernel: '/vmlinuz-1', initrds: ['/initramfs-1.img', '/tuned.img'], options: 'root=/dev/x ro quiet x' })
  t.equal(parseBlsEntry('title Windows\nefi /EFI/x.efi\n', environment), undefined)
})

t.test('the environment block keeps its size', async t => {
  const block = 'saved_entry=a\nkernelopts=root=/dev/vda2 ro resume=/dev/nowhere \nboot_success=0\n'.padEnd(1024, '#')
  const fixed = rewriteEnvironment(block, references)
  t.equal(fixed.text.length, 1024)
  t.match(fixed.text, `saved_entry=a\nkernelopts=root=${ROOT} ro\nboot_success=0\n#`)
  t.equal(rewriteEnvironment('saved_entry=a\n####', references).text, 'saved_entry=a\n####')
})

t.test('a root that is not known becomes the replica\'s: nothing else would add one to an entry', async t => {
  t.equal(rewriteBlsEntry('linux /v\noptions root=/dev/mapper/old-root ro $tuned_params\n', references).text, `linux /v\noptions root=${ROOT} ro $tuned_params\n`)
})

t.test('menus of GRUB legacy: entries, the default among all of them, Xen and comments', async t => {
  const menu = '#kopt\ndefault=1\ntitle Memtest\n  kernel (hd0,0)/memtest\ntitle Linux\n  root (hd2,0)\n  kernel (hd0,0)/vmlinuz-1 root=LABEL=root ro\n  initrd (hd0,0)/initrd-1\n'
  t.same(legacyEntries(menu), { chosen: 1, entries: [{ title: 'Memtest', number: 0, kernel: '/memtest', initrds: [], options: '', root: undefined, resume: undefined }, { title: 'Linux', number: 1, kernel: '/vmlinuz-1', initrds: ['/initrd-1'], options: 'root=LABEL=root ro', root: 'LABEL=root', resume: undefined }] })
  t.equal(rewriteLegacyMenu(menu, references).text, menu.replace('(hd2,0)', '(hd0,0)'))
  t.equal(rewriteLegacyMenu('# kopt=root=/dev/vda2 ro\n', references).text, `# kopt=root=${ROOT} ro\n`)
  t.equal(rewriteLegacyMenu('title x\n module /vmlinuz-xen root=/dev/vda2\n', references).text, `title x\n module /vmlinuz-xen root=${ROOT}\n`)
})
