/** The source of which the LVM guest has two clones, as source-text.ts describes one. */
/** A system in a group on a partition and a whole disk, with all that a group can have. */
export const SOURCE = [
  'os debian 12 "Debian" bios grub2 initramfs-tools', 'disk vda 160M dos', 'part 1 1M 30M 83 boot', 'part 2 31M 128M 8e', 'disk vdb 160M none', 'vg my-vg vda2,vdb extent=1M start=192K tags=oracle',
  'lv my-vg/root 150M linear on=vda2 tags=system', 'lv my-vg/fast 40M striped stripes=2,64K', 'lv my-vg/data 60M thin pool=thinpool', 'lv my-vg/swap_1 8M',
  'fs /boot vda1 ext4:2016', 'fs / my-vg/root ext4:2016', 'fs /fast my-vg/fast ext4:2016', 'fs /srv my-vg/data ext4:2016', 'swap my-vg/swap_1', '',
].join('\n')
