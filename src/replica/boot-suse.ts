/** The fix-ups that make SUSE Linux Enterprise 11 to 16 and openSUSE boot on VMware hardware, in their order. */
import { COMMON_CHECKS, COMMON_PROOFS, COMMON_SETTINGS } from './boot-steps.ts'
import type { Firmware } from './boot-family.ts'
import { checkMenu, installGrub2, NAME_BOOT_DISK_SUSE, SUSE_GRUB } from './fix-boot-loader.ts'
import { rebuildWithDracut } from './fix-dracut.ts'
import { CHECK_LEGACY_MENU, INSTALL_GRUB_LEGACY } from './fix-grub-legacy.ts'
import { REBUILD_SUSE_11 } from './fix-mkinitrd.ts'
import { RELABEL } from './fix-selinux.ts'
import { FILL_EFI_BOOT } from './fix-uefi.ts'
import type { FixUp } from './fix-up.ts'

export function suseFixUps(major: number, firmware: Firmware, loader: 'grub2' | 'grub-legacy'): readonly FixUp[] {
  const initramfs = major <= 11 ? REBUILD_SUSE_11 : rebuildWithDracut(version => `/boot/initrd-${version}`)
  return [
    ...COMMON_CHECKS, ...COMMON_SETTINGS, initramfs,
    ...firmware === 'uefi' ? [FILL_EFI_BOOT] : loader === 'grub-legacy' ? [INSTALL_GRUB_LEGACY] : [installGrub2(SUSE_GRUB), NAME_BOOT_DISK_SUSE],
    loader === 'grub-legacy' ? CHECK_LEGACY_MENU : checkMenu(SUSE_GRUB), ...COMMON_PROOFS, RELABEL,
  ]
}
