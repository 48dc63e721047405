/** The source of which the LVM guest has two clones, as source-text.ts describes one. */
/** A system in a group on a partition and a whole disk, with all that a group can have. */
export const SOURCE = [
  'os debian 12 "Debian" bios grub2 initramfs-tools', 'disk vda 130M dos', 'part 1 1M 128M 8e', 'disk vdb 130M none', 'vg my-vg vda1,vdb extent=1M start=192K tags=oracle',
  'lv my-vg/root 150M thin pool=p tags=system', 'lv my-vg/fast 40M striped stripes=2,64K', 'lv my-vg/swap_1 8M',
  'fs / my-vg/root ext4:2016', 'fs /fast my-vg/fast ext4:2016', 'swap my-vg/swap_1', '',
].join('\n')
