import t from 'tap'
import { DeviceReferences } from '../../../src/replica/device-references.ts'
import { menuEntries, rewriteMenu } from '../../../src/replica/grub-menu.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { debian12, options, places } from './workloads.ts'

t.test('entries of a generated menu come with kernel, initramfs, root and what is searched, those of submenus too', async t => {
  const text = `
if loadfont unicode ; then set gfxmode=auto ; fi
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-aa' {
	insmod ext2
	search --no-floppy --fs-uuid --set=root aa-bb
	echo	'Loading Linux 6.1.0-40-amd64 ...'
	linux	/vmlinuz-6.1.0-40-amd64 root=UUID=cc-dd ro quiet resume=UUID=ee-ff
	initrd	/initrd.img-6.1.0-40-amd64
}
submenu 'Advanced options' {
	menuentry 'Recovery' {
		search --no-floppy --fs-uuid --set=root aa-bb
		linux	/vmlinuz-6.1.0-40-amd64 root=UUID=cc-dd ro single
		initrd	/microcode.img /initrd.img-6.1.0-40-amd64
	}
}
menuentry 'Memory test' {
	linux16 /boot/memtest86+.bin
}
menuentry 'UEFI Firmware Settings' {
	fwsetup
}
`
  t.same(menuEntries(text), [
    { title: 'Debian GNU/Linux', kernel: '/vmlinuz-6.1.0-40-amd64', initrds: ['/initrd.img-6.1.0-40-amd64'], options: 'root=UUID=cc-dd ro quiet resume=UUID=ee-ff', root: 'UUID=cc-dd', resume: 'UUID=ee-ff', searched: ['aa-bb'] },
    { title: 'Recovery', kernel: '/vmlinuz-6.1.0-40-amd64', initrds: ['/microcode.img', '/initrd.img-6.1.0-40-amd64'], options: 'root=UUID=cc-dd ro single', root: 'UUID=cc-dd', resume: undefined, searched: ['aa-bb'] },
    { title: 'Memory test', kernel: '/boot/memtest86+.bin', initrds: [], options: '', root: undefined, resume: undefined, searched: [] },
  ])
})

t.test('a menu written by hand is read as well', async t => {
  const text = 'set timeout=0\nsearch --no-floppy --fs-uuid --set=root aa-bb\nmenuentry Debian { linux /vmlinuz root=/dev/vda2 ro\ninitrd /initrd.img\n}\n'
  t.same(menuEntries(text), [{ title: 'Debian', kernel: '/vmlinuz', initrds: ['/initrd.img'], options: 'root=/dev/vda2 ro', root: '/dev/vda2', resume: undefined, searched: ['aa-bb'] }])
})

t.test('a menu without Linux has no entries', async t => {
  t.same(menuEntries('menuentry "Windows" {\n chainloader +1\n}\n'), [])
})

t.test('only command lines of kernels are rewritten, in every form of a menu, and those that resolve stay to the blank', async t => {
  const workload = debian12()
  const references = new DeviceReferences(planReplica({ jobId: 'j', workload, options: options(), places: places() }), workload)
  const text = `set kernelopts="root=/dev/vda2 ro rd.lvm.lv=v/root "
menuentry A { linux16 /vmlinuz root=/dev/vda2 rd.md.uuid=1:2
\techo  'rd.md.uuid=1:2'
\tlinux\t($root)/vmlinuz  $kernelopts  rd.multipath=0 x
\tlinuxefi /vmlinuz  root=LABEL=root   quiet
\tmodule2 /vmlinuz placeholder  root=/dev/vda2
\tmodule2 --nounzip /initrd.img
`
  t.equal(rewriteMenu(text, references).text, `set kernelopts="root=UUID=dd000000-0000-4000-8000-000000000002 ro"
menuentry A { linux16 /vmlinuz root=UUID=dd000000-0000-4000-8000-000000000002
\techo  'rd.md.uuid=1:2'
\tlinux\t($root)/vmlinuz  $kernelopts x
\tlinuxefi /vmlinuz  root=LABEL=root   quiet
\tmodule2 /vmlinuz placeholder root=UUID=dd000000-0000-4000-8000-000000000002
\tmodule2 --nounzip /initrd.img
`)
})
