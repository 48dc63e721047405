/** All boot fix-ups on the trees of root-trees-of-eras.ts. */
import t from 'tap'
import { fixed, settles } from './fixed-tree.ts'
import { RED_HAT_10_UEFI, RED_HAT_6_UEFI, RED_HAT_7_UEFI, RED_HAT_8, SUSE_12, SUSE_15_UEFI, UBUNTU_14, UBUNTU_22_UEFI } from './root-trees-of-eras.ts'
import { BOOT_UUID, MAC, ROOT_UUID, SWAP_UUID } from './root-trees.ts'

t.test('Red Hat 8: the options of all entries stand in GRUB\'s environment, which keeps its size', async t => {
  const done = await fixed(t, RED_HAT_8)
  t.same(done.calls.map(c => c.split(' ')[0]), ['dracut', 'lsinitrd', 'grub2-install'])
  const environment = done.read('boot/grub2/grubenv')
  t.equal(environment.length, 1024)
  t.match(environment, `\nkernelopts=root=UUID=${ROOT_UUID} ro crashkernel=auto resume=UUID=${SWAP_UUID} rhgb quiet\nboot_success=0\n#`)
  t.match(done.read(`boot/loader/entries/0ab-${RED_HAT_8.kernel}.conf`), 'options $kernelopts $tuned_params\n')
  t.match(done.read('boot/grub2/grub.cfg'), `set kernelopts="root=UUID=${ROOT_UUID} ro"`)
  t.match(done.read('etc/default/grub'), `resume=UUID=${SWAP_UUID} rhgb quiet`)
  t.match(done.read('etc/sysconfig/network-scripts/ifcfg-eth0'), `HWADDR=${done.mac}`)
  await settles(t, done, ['boot/grub2/grubenv', 'boot/grub2/grub.cfg', `boot/loader/entries/0ab-${RED_HAT_8.kernel}.conf`])
})

t.test('Red Hat 10: keyfiles alone, and a kernel without the old controller\'s driver', async t => {
  const done = await fixed(t, RED_HAT_10_UEFI)
  t.same(done.calls.map(c => c.split(' ')[0]), ['dracut', 'lsinitrd'])
  t.match(done.read(`boot/loader/entries/0ab-${RED_HAT_10_UEFI.kernel}.conf`), `options root=UUID=${ROOT_UUID} ro resume=UUID=${SWAP_UUID}\n`)
  t.equal(done.read('etc/kernel/cmdline'), `root=UUID=${ROOT_UUID} ro\n`)
  t.equal(done.read('boot/efi/EFI/BOOT/BOOTX64.EFI'), 'shim')
  t.match(done.read('etc/NetworkManager/system-connections/eth0.nmconnection'), `mac-address=${done.mac}\n\n[ipv4]\naddress1=192.0.2.10/24,192.0.2.1\n`)
  t.notOk(done.exists('etc/lvm/devices/system.devices') || done.exists('etc/sysconfig/network-scripts'))
  await settles(t, done, ['etc/kernel/cmdline', 'etc/NetworkManager/system-connections/eth0.nmconnection'])
})

t.test('SUSE 12: dracut, GRUB 2 and wicked, names of the old controller in the menu', async t => {
  const done = await fixed(t, SUSE_12)
  t.same(done.calls.map(c => c.split(' ')[0]), ['dracut', 'lsinitrd', 'grub2-install', 'grub2-mkconfig'].filter(name => done.calls.some(c => c.startsWith(name))))
  t.match(done.read('boot/grub2/grub.cfg'), ` linux /vmlinuz-${SUSE_12.kernel} root=UUID=${ROOT_UUID} resume=UUID=${SWAP_UUID} quiet\n`)
  t.match(done.read('etc/default/grub'), `GRUB_CMDLINE_LINUX_DEFAULT="resume=UUID=${SWAP_UUID} splash=silent quiet"`)
  t.notMatch(done.read('etc/default/grub_installdevice'), /cciss/)
  t.equal(done.read('etc/udev/rules.d/70-persistent-net.rules'), `# landfall: eth0 keeps its name\nSUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${done.mac}", ATTR{type}=="1", NAME="eth0"\n`)
  t.ok(done.exists('etc/systemd/system/landfall-first-boot.service'))
  t.equal(done.read(`boot/initrd-${SUSE_12.kernel}.pre-landfall`), 'old')
  await settles(t, done, ['boot/grub2/grub.cfg', 'etc/default/grub', 'etc/udev/rules.d/70-persistent-net.rules'])
})

t.test('Ubuntu 14: without systemd, names by udev rules, an init script reports the first boot', async t => {
  const done = await fixed(t, UBUNTU_14)
  t.same(done.calls, [`update-initramfs -u -k ${UBUNTU_14.kernel}`, `lsinitramfs /boot/initrd.img-${UBUNTU_14.kernel}`, 'grub-install --target=i386-pc --no-floppy /dev/sdc'])
  t.match(done.read('etc/initramfs-tools/conf.d/zz-landfall'), `MODULES=most\nRESUME=UUID=${SWAP_UUID}\n`)
  t.equal(done.read('etc/initramfs-tools/conf.d/resume'), '# landfall: the replica has no such device: RESUME=/dev/sda3\n')
  t.match(done.read('etc/initramfs-tools/modules'), /\nvmw_pvscsi\nmptspi\n/)
  t.match(done.read('boot/grub/grub.cfg'), `root=UUID=${ROOT_UUID} ro resume=UUID=${SWAP_UUID} quiet\n`)
  t.match(done.read('etc/default/grub'), `"quiet resume=UUID=${SWAP_UUID}"`)
  t.match(done.read('etc/udev/rules.d/70-persistent-net.rules'), `ATTR{address}=="${done.mac}", ATTR{type}=="1", NAME="eth0"\n`)
  t.notMatch(done.read('etc/udev/rules.d/70-persistent-net.rules'), MAC)
  t.equal(done.read('etc/init/cloud-init.override'), 'manual\n')
  t.ok(done.exists('etc/rc2.d/S99landfall-first-boot'))
  await settles(t, done, ['etc/initramfs-tools/modules', 'boot/grub/grub.cfg', 'etc/udev/rules.d/70-persistent-net.rules'])
})

t.test('Ubuntu 22 with UEFI: netplan that matches by address, cloud-init, shim of its own folder', async t => {
  const done = await fixed(t, UBUNTU_22_UEFI)
  t.same(done.calls.map(c => c.split(' ')[0]), ['update-initramfs', 'lsinitramfs'])
  t.match(done.read('etc/netplan/50-cloud-init.yaml'), `macaddress: ${done.mac}\n`)
  t.ok(done.exists('etc/cloud/cloud-init.disabled'))
  t.equal(done.read('boot/efi/EFI/BOOT/BOOTX64.EFI'), 'shim')
  t.equal(done.read('boot/efi/EFI/BOOT/grubx64.efi'), 'grub')
  t.match(done.read('etc/systemd/network/10-landfall-eth0.link'), done.mac)
  t.ok(done.exists('etc/systemd/system/landfall-first-boot.service'))
  await settles(t, done, ['etc/netplan/50-cloud-init.yaml', 'boot/efi/EFI/BOOT/BOOTX64.EFI'])
})

t.test('Red Hat 7 with UEFI: the menu on the ESP is rewritten and found from EFI/BOOT', async t => {
  const done = await fixed(t, RED_HAT_7_UEFI)
  t.same(done.calls.map(c => c.split(' ')[0]), ['dracut', 'lsinitrd'])
  t.match(done.read('boot/efi/EFI/redhat/grub.cfg'), `linuxefi /vmlinuz-3.10.0-1160.el7.x86_64 root=UUID=${ROOT_UUID} ro quiet\n`)
  t.equal(done.read('boot/efi/EFI/BOOT/BOOTX64.EFI'), 'shim')
  t.equal(done.read('boot/efi/EFI/BOOT/grubx64.efi'), 'grub')
  await settles(t, done, ['boot/efi/EFI/redhat/grub.cfg', 'boot/efi/EFI/BOOT/BOOTX64.EFI'])
})

t.test('Red Hat 6 with UEFI: GRUB legacy and its menu are in EFI/BOOT, too', async t => {
  const done = await fixed(t, RED_HAT_6_UEFI)
  t.same(done.calls.map(c => c.split(' ')[0]), ['dracut', 'lsinitrd'])
  for (const place of ['redhat/grub.conf', 'BOOT/BOOTX64.conf']) t.match(done.read(`boot/efi/EFI/${place}`), `ro root=UUID=${ROOT_UUID} rd_NO_LUKS quiet\n`)
  t.equal(done.read('boot/efi/EFI/BOOT/BOOTX64.EFI'), 'grub')
  await settles(t, done, ['boot/efi/EFI/redhat/grub.conf', 'boot/efi/EFI/BOOT/BOOTX64.conf'])
})

t.test('SUSE 15 with UEFI: shim and GRUB by the names that shim looks for', async t => {
  const done = await fixed(t, SUSE_15_UEFI)
  t.same(done.calls.map(c => c.split(' ')[0]).filter(name => name !== 'grub2-mkconfig'), ['dracut', 'lsinitrd'])
  t.match(done.read('boot/grub2/grub.cfg'), `root=UUID=${ROOT_UUID} resume=UUID=${SWAP_UUID} quiet\n`)
  t.equal(done.read('boot/efi/EFI/BOOT/BOOTX64.EFI'), 'shim')
  t.equal(done.read('boot/efi/EFI/BOOT/grub.efi'), 'grub')
  t.equal(done.read('boot/efi/EFI/BOOT/MokManager.efi'), 'mok')
  t.match(done.read('boot/efi/EFI/BOOT/grub.cfg'), BOOT_UUID)
  await settles(t, done, ['boot/grub2/grub.cfg', 'boot/efi/EFI/BOOT/BOOTX64.EFI'])
})
