/** The sources of which the LVM guest has clones, as source-text.ts describes them. */
/** A system in a group on a partition and a whole disk, with all that a group can have. */
export const SOURCE = [
  'os debian 12 "Debian" bios grub2 initramfs-tools', 'disk vda 130M dos', 'part 1 1M 128M 8e', 'disk vdb 130M none', 'vg my-vg vda1,vdb extent=1M start=192K tags=oracle',
  'lv my-vg/root 150M thin pool=p tags=system', 'lv my-vg/fast 40M striped stripes=2,64K', 'lv my-vg/swap_1 8M',
  'fs / my-vg/root ext4:2016', 'fs /fast my-vg/fast ext4:2016', 'swap my-vg/swap_1', '',
].join('\n')

/** A disk with a group inside a LUKS container, and another container on one of its logical volumes. */
export const ENCRYPTED = [
  'os debian 12 "Debian" bios grub2 initramfs-tools', 'disk vda 130M dos', 'part 1 1M 128M 83', 'luks vda1_crypt vda1 LUKS2', 'vg my-vg vda1_crypt extent=1M',
  'lv my-vg/root 60M', 'lv my-vg/inner 40M', 'luks deep my-vg/inner LUKS1',
  'fs / my-vg/root ext4:2016', 'fs /deep deep ext4:2016', 'option encryption re-encrypt', '',
].join('\n')
export const PASSPHRASE = 'correct horse battery staple'
