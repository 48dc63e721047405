/** The fix-ups that make Red Hat Enterprise Linux 5 to 10, and what is built from it, boot on VMware hardware, in their order. */
import { COMMON_CHECKS, COMMON_PROOFS, COMMON_SETTINGS } from './boot-steps.ts'
import type { Firmware } from './boot-family.ts'
import { checkMenu, installGrub2, RED_HAT_GRUB } from './fix-boot-loader.ts'
import { rebuildWithDracut } from './fix-dracut.ts'
import { CHECK_LEGACY_MENU, INSTALL_GRUB_LEGACY } from './fix-grub-legacy.ts'
import { REBUILD_RED_HAT_5 } from './fix-mkinitrd.ts'
import { RELABEL } from './fix-selinux.ts'
import { FILL_EFI_BOOT } from './fix-uefi.ts'
import type { FixUp } from './fix-up.ts'

/** SELinux is last, so that every new file has been made. @param loader of the source; only 5 and 6 have GRUB legacy */
export function redHatFixUps(major: number, firmware: Firmware, loader: 'grub2' | 'grub-legacy'): readonly FixUp[] {
  const initramfs = major <= 5 ? REBUILD_RED_HAT_5 : rebuildWithDracut(version => `/boot/initramfs-${version}.img`)
  return [
    ...COMMON_CHECKS, ...COMMON_SETTINGS, initramfs,
    // grub2-install for UEFI is not supported by Red Hat: the loader of the ESP is the one that is signed
    ...firmware === 'uefi' ? [FILL_EFI_BOOT] : [loader === 'grub-legacy' ? INSTALL_GRUB_LEGACY : installGrub2(RED_HAT_GRUB)],
    loader === 'grub-legacy' ? CHECK_LEGACY_MENU : checkMenu(RED_HAT_GRUB), ...COMMON_PROOFS, RELABEL,
  ]
}
