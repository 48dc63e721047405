/** All boot fix-ups of Red Hat and SUSE, in their order, on recorded root trees. */
import t from 'tap'
import { bootFamilyOf, releaseOf } from '../../../src/replica/boot-family.ts'
import { fixUpsOf } from '../../../src/replica/boot-fix-ups.ts'
import { DISK_UUID, fixed, GRUB_EMBEDS, LUKS_UUID, settles } from './fixed-tree.ts'
import { BOOT_UUID, MAC, RED_HAT_5, RED_HAT_6, RED_HAT_7, RED_HAT_9_UEFI, ROOT_UUID, SUSE_11, SUSE_15, SWAP_UUID } from './root-trees.ts'
import { debian12 } from './workloads.ts'

t.test('Red Hat 5: mkinitrd, modprobe.conf, GRUB legacy, HWADDR, kudzu', async t => {
  const done = await fixed(t, RED_HAT_5)
  t.same(done.calls, [
    'mkinitrd -f --with=mptspi --with=ahci --with=sd_mod --with=e1000 --preload=mptspi /boot/initrd-2.6.18-398.el5.img 2.6.18-398.el5',
    done.calls[1], 'grub --batch --no-floppy --device-map=/dev/null < device (hd0) /dev/sdc\nroot (hd0,0)\nsetup (hd0)\nquit\n',
  ])
  t.match(done.calls[1], /^sh -c .*cpio -it.* \/boot\/initrd-2\.6\.18-398\.el5\.img$/s)
  t.equal(done.read('etc/modprobe.conf'), 'alias usb-controller ehci-hcd\nalias eth0 e1000\nalias scsi_hostadapter mptspi\n')
  t.equal(done.read('etc/fstab'), `UUID=${ROOT_UUID} / ext3 defaults 1 1\n# landfall: not migrated: LABEL=/gone /gone ext3 defaults 1 2\nUUID=${SWAP_UUID} swap swap defaults 0 0\n`)
  t.match(done.read('boot/grub/grub.conf'), `ro root=UUID=${ROOT_UUID} resume=UUID=${SWAP_UUID} rhgb quiet\n`)
  t.equal(done.read('boot/grub/device.map'), '(hd0)\t/dev/sda\n')
  t.match(done.read('etc/sysconfig/network-scripts/ifcfg-eth0'), `HWADDR=${done.mac}\n`)
  t.notOk(done.exists('etc/rc.d/rc3.d/S05kudzu') || done.exists('var/lib/rpm/__db.001') || done.exists('.autorelabel'))
  t.ok(done.exists('etc/rc.d/rc3.d/S99landfall-first-boot') || done.read('etc/init.d/landfall-first-boot').startsWith('#!/bin/sh'))
  t.equal(done.read('boot/initrd-2.6.18-398.el5.img.pre-landfall'), 'old')
  await settles(t, done, ['etc/modprobe.conf', 'etc/fstab', 'boot/grub/grub.conf', 'etc/sysconfig/network-scripts/ifcfg-eth0', 'boot/initrd-2.6.18-398.el5.img.pre-landfall'])
})

t.test('Red Hat 6: the first dracut, udev rules, old storage on the command line, SELinux', async t => {
  const done = await fixed(t, RED_HAT_6)
  t.same(done.calls, [
    'dracut --force --add-drivers vmw_pvscsi mptspi ahci sd_mod vmxnet3 e1000 e1000e /boot/initramfs-2.6.32-754.el6.x86_64.img 2.6.32-754.el6.x86_64', 'lsinitrd /boot/initramfs-2.6.32-754.el6.x86_64.img',
    'grub --batch --no-floppy --device-map=/dev/null < device (hd0) /dev/sdc\nroot (hd0,0)\nsetup (hd0)\nquit\n',
  ])
  t.equal(done.read('etc/dracut.conf.d/99-landfall.conf'), '# Made by the migration: drivers of the virtual hardware.\nadd_drivers+=" vmw_pvscsi mptspi ahci sd_mod vmxnet3 e1000 e1000e "\ninstall_items+=" /etc/udev/rules.d/70-persistent-net.rules "\n')
  t.match(done.read('boot/grub/grub.conf'), `ro root=UUID=${ROOT_UUID} rd_NO_LUKS KEYTABLE=us rhgb quiet`)
  t.equal(done.read('etc/udev/rules.d/70-persistent-net.rules'), `# landfall: eth0 keeps its name\nSUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${done.mac}", ATTR{type}=="1", NAME="eth0"\n`)
  t.equal(done.read('etc/udev/rules.d/75-persistent-net-generator.rules'), '', 'masked')
  t.equal(done.read('etc/mdadm.conf'), 'MAILADDR root\n# landfall: a plain disk now: ARRAY /dev/md0 UUID=1:2\n')
  t.notOk(done.exists('etc/multipath/bindings'))
  t.ok(done.exists('.autorelabel'))
  await settles(t, done, ['boot/grub/grub.conf', 'etc/udev/rules.d/70-persistent-net.rules', 'etc/mdadm.conf'])
})

t.test('Red Hat 7: dracut for any hardware, GRUB 2, LVM filters; kdump and rescue images stay', async t => {
  const done = await fixed(t, RED_HAT_7)
  t.same(done.calls, [
    'dracut --force --no-hostonly --add-drivers vmw_pvscsi mptspi ahci sd_mod vmxnet3 e1000 e1000e /boot/initramfs-3.10.0-1160.el7.x86_64.img 3.10.0-1160.el7.x86_64', 'lsinitrd /boot/initramfs-3.10.0-1160.el7.x86_64.img',
    'grub2-install --target=i386-pc --no-floppy /dev/sdc',
  ])
  t.match(done.read('etc/default/grub'), `GRUB_CMDLINE_LINUX="crashkernel=auto resume=UUID=${SWAP_UUID} rhgb quiet"`)
  t.match(done.read('boot/grub2/grub.cfg'), `root=UUID=${ROOT_UUID} ro crashkernel=auto rhgb quiet audit=1\n`, 'the menu waits for no old storage, and keeps what stands in it alone')
  t.equal(done.messages['C14']?.filter(m => m.startsWith('/boot/grub2/grub.cfg: rd.md.uuid=1:2:3:4 removed')).length, 1)
  t.equal(done.read('etc/lvm/lvm.conf'), 'devices {\n\t# landfall: global_filter = [ "a|/dev/mpath|", "r|.*|" ]\n\tfilter = [ "a|.*|" ]\n}\n')
  t.equal(done.read('boot/grub2/device.map'), '(hd0)\t/dev/sda\n')
  t.equal(done.read('etc/systemd/network/10-landfall-eth0.link'), `# Made by the migration: the adapter keeps the name it had on the source.\n[Match]\nMACAddress=${done.mac}\nType=ether\n\n[Link]\nName=eth0\n`)
  t.match(done.read('etc/dracut.conf.d/99-landfall.conf'), '\ninstall_items+=" /etc/systemd/network/10-landfall-eth0.link "\n', 'the image names adapters as the system does')
  t.same(done.messages['C15'], ['initramfs of kernel 3.10.0-1160.el7.x86_64 rebuilt and looked into'])
  t.match(done.read('etc/sysconfig/network-scripts/ifcfg-eth0'), `HWADDR=${done.mac}`)
  t.match(done.read('etc/cloud/cloud.cfg.d/99-landfall.cfg'), /config: disabled/)
  t.ok(done.exists('etc/systemd/system/landfall-first-boot.service') && done.exists('.autorelabel'))
  t.equal(done.read('boot/initramfs-3.10.0-1160.el7.x86_64kdump.img'), 'kdump')
  await settles(t, done, ['etc/default/grub', 'boot/grub2/grub.cfg', 'etc/lvm/lvm.conf', 'etc/sysconfig/network-scripts/ifcfg-eth0'])
})

t.test('an image without the names of the adapters is told and stops nothing', async t => {
  t.match((await fixed(t, { ...RED_HAT_7, dropsItems: true })).messages['C15']?.[1], /lacks \/etc\/systemd\/network\/10-landfall-eth0\.link: an adapter may get another name/)
})

t.test('Red Hat 9 with UEFI: entries in files, EFI/BOOT from the distribution\'s shim, nothing installed and no firmware touched', async t => {
  const done = await fixed(t, RED_HAT_9_UEFI)
  t.same(done.calls.map(c => c.split(' ')[0]), ['dracut', 'lsinitrd'])
  t.match(done.read('boot/loader/entries/0ab-5.14.0-427.el9.x86_64.conf'), `options root=UUID=${ROOT_UUID} ro\n`)
  t.equal(done.read('etc/kernel/cmdline'), `root=UUID=${ROOT_UUID} ro\n`)
  for (const [name, content] of [['BOOTX64.EFI', 'shim'], ['grubx64.efi', 'grub'], ['mmx64.efi', 'mok'], ['fbx64.efi', 'fallback']]) t.equal(done.read(`boot/efi/EFI/BOOT/${name ?? ''}`), content)
  t.match(done.read('boot/efi/EFI/BOOT/grub.cfg'), BOOT_UUID)
  t.notOk(done.exists('etc/lvm/devices/system.devices'))
  t.match(done.read('etc/NetworkManager/system-connections/eth0.nmconnection'), `mac-address=${done.mac}`)
  await settles(t, done, ['boot/loader/entries/0ab-5.14.0-427.el9.x86_64.conf', 'boot/efi/EFI/BOOT/BOOTX64.EFI'])
})

t.test('SUSE 11: mkinitrd without arguments, names of the old controller everywhere', async t => {
  const done = await fixed(t, SUSE_11)
  t.equal(done.calls[0], 'mkinitrd')
  t.match(done.calls.at(-1), /^grub --batch .*root \(hd0,0\)/s)
  t.match(done.read('etc/sysconfig/kernel'), '\nINITRD_MODULES=\'vmw_pvscsi mptspi ahci sd_mod vmxnet3 e1000 e1000e processor thermal fan jbd ext3\'\n')
  t.match(done.read('boot/grub/menu.lst'), `    root (hd0,0)\n    kernel /vmlinuz-3.0.101-63-default root=UUID=${ROOT_UUID} resume=UUID=${SWAP_UUID} splash=silent\n`)
  t.match(done.read('etc/sysconfig/bootloader'), `DEFAULT_APPEND="resume=UUID=${SWAP_UUID} splash=silent"`)
  t.match(done.read('etc/fstab'), new RegExp(`^UUID=${ROOT_UUID} / .*\nUUID=${BOOT_UUID} /boot .*\nUUID=${SWAP_UUID} swap `))
  t.equal(done.read('etc/udev/rules.d/70-persistent-net.rules'), `# landfall: eth0 keeps its name\nSUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${done.mac}", ATTR{type}=="1", NAME="eth0"\n`)
  t.ok(done.exists('etc/init.d/rc3.d/S99landfall-first-boot'))
  await settles(t, done, ['etc/sysconfig/kernel', 'boot/grub/menu.lst', 'etc/fstab'])
})

t.test('programs that make an initrd and would ask LVM for the root are told that it is a logical volume', async t => {
  t.match((await fixed(t, RED_HAT_5, [], undefined, 'logical')).calls.find(c => c.startsWith('mkinitrd')), / --force-lvm-probe --preload=/)
  t.equal((await fixed(t, SUSE_11, [], undefined, 'logical')).calls[0], 'mkinitrd -f lvm2')
})

t.test('an encrypted root is opened by an image for any hardware, which is told of it; one without the program for it stops the cutover', async t => {
  const etc = { ...SUSE_15.tree['etc'] as object, crypttab: 'cr_root /dev/disk/by-id/ata-X-part2 none x-initrd.attach\n' }
  const done = await fixed(t, { ...SUSE_15, tree: { ...SUSE_15.tree, etc } }, [], undefined, 'encrypted')
  t.match(done.read('etc/dracut.conf.d/99-landfall.conf'), `install_items+=" /etc/crypttab "\nkernel_cmdline+=" rd.luks.uuid=luks-${LUKS_UUID} "\n`)
  t.equal(done.read('etc/crypttab'), `cr_root UUID=${LUKS_UUID} none x-initrd.attach\n`)
  await settles(t, done, ['etc/crypttab', 'etc/dracut.conf.d/99-landfall.conf'])
  await t.rejects(fixed(t, SUSE_15, [], undefined, 'encrypted', ['lvm']), { code: 'BOOT_FIXUP_FAILED', message: /lacks cryptsetup/ })
})

t.test('SUSE 15: dracut, GRUB 2 and its menu made anew, YaST knows the disk', async t => {
  const done = await fixed(t, SUSE_15)
  t.same(done.calls.map(c => c.split(' ').slice(0, 3).join(' ')), ['dracut --force --no-hostonly', 'lsinitrd /boot/initrd-5.14.21-150500-default', 'grub2-install --target=i386-pc --no-floppy', 'grub2-mkconfig -o /boot/grub2/grub.cfg'])
  t.match(done.read('boot/grub2/grub.cfg'), ` linux /vmlinuz-5.14.21-150500-default root=UUID=${ROOT_UUID}\n`)
  t.match(done.read('boot/grub2/grub.cfg'), `linux /vmlinuz root=UUID=${ROOT_UUID} quiet\n`, 'what the source\'s own script added')
  t.match(done.messages['C16'], [/^boot menu made anew: .* looks for the file system 0+-.*99/, /rd\.md\.uuid=9:9 removed/])
  t.same(done.environments['grub2-mkconfig'], { GRUB_DISABLE_OS_PROBER: 'true' }, 'the appliance\'s disks are not looked at')
  t.equal(done.read('etc/default/grub_installdevice'), `/dev/disk/by-id/wwn-0x${DISK_UUID}\nactivate\ngeneric_mbr\n`)
  t.equal(done.read('etc/default/grub'), `GRUB_CMDLINE_LINUX_DEFAULT="splash=silent resume=UUID=${SWAP_UUID} mitigations=auto"\n# landfall: the replica's disks have other names: GRUB_DISABLE_LINUX_UUID="true"\n`)
  t.match(done.read('etc/udev/rules.d/70-persistent-net.rules'), done.mac)
  t.notMatch(done.read('etc/udev/rules.d/70-persistent-net.rules'), MAC)
})

t.test('a driver that the new image lacks, or a GRUB that says it failed, stops the cutover', async t => {
  await t.rejects(fixed(t, RED_HAT_7, ['vmw_pvscsi']), { code: 'BOOT_FIXUP_FAILED', message: /lacks vmw_pvscsi/ })
  await t.rejects(fixed(t, RED_HAT_6, [], ' setup (hd0)\n\nError 15: File not found\n'), { code: 'BOOT_FIXUP_FAILED', message: /Error 15/ })
  await t.rejects(fixed(t, RED_HAT_6, [], `${GRUB_EMBEDS} failed\n\nError 22: No such partition\ngrub> quit\n`), { code: 'BOOT_FIXUP_FAILED', message: /Error 22/ }, 'its first half succeeded')
  await t.rejects(fixed(t, RED_HAT_6, [], GRUB_EMBEDS), { code: 'BOOT_FIXUP_FAILED' })
  await t.rejects(fixed(t, { ...RED_HAT_9_UEFI, tree: { ...RED_HAT_9_UEFI.tree, boot: { 'vmlinuz-5.14.0-427.el9.x86_64': 'k' } } }), { code: 'BOOT_FIXUP_FAILED', message: /EFI system partition/ })
})

t.test('families are known by what they are or are like; releases by the count of the family', async t => {
  const of = (id: string, versionId: string, idLike: string[] = []): [string | undefined, number | undefined] => {
    const os = { id, idLike, versionId, prettyName: id, architecture: 'x86_64' }
    return [bootFamilyOf({ os }), releaseOf({ os })]
  }
  for (const [id, version, family, release] of [
    ['rhel', '8.10', 'rhel', 8], ['ol', '7.9', 'rhel', 7], ['rocky', '10.0', 'rhel', 10], ['amzn', '2', 'rhel', 7], ['amzn', '2023', 'rhel', 9], ['fedora', '40', 'rhel', 9], ['centos', '4.9', 'rhel', undefined], ['rhel', '11', 'rhel', undefined],
    ['sles', '12.5', 'suse', 12], ['opensuse-leap', '42.3', 'suse', 12], ['opensuse-leap', '15.6', 'suse', 15], ['opensuse-tumbleweed', '20260101', 'suse', 16], ['sles', '10.4', 'suse', undefined],
    ['ubuntu', '24.04', 'debian', 24], ['debian', '', 'debian', 0], ['arch', '', undefined, undefined], ['gentoo', '2.15', undefined, undefined], ['alt', '10', undefined, undefined],
  ] as const) t.same(of(id, version), [family, release], `${id} ${version}`)
  t.same(of('eurolinux9', '9.3', ['rhel', 'fedora']), ['rhel', 9])
  t.throws(() => fixUpsOf({ workload: { ...debian12(), boot: { ...debian12().boot, loader: 'systemd-boot' } }, plan: { firmware: 'bios' } }), { code: 'BOOT_FIXUP_FAILED' })
})
