/** Where distributions keep what GRUB 2 installs for BIOS: Debian and Red Hat; SUSE up to 15 and behind it. */
export const GRUB_FOR_BIOS = ['/usr/lib/grub/i386-pc', '/usr/lib/grub2/i386-pc', '/usr/share/grub2/i386-pc'] as const
