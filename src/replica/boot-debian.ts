/** The fix-ups that make a Debian or Ubuntu system with GRUB 2 boot on VMware hardware, in their order. */
import { checkMenu, DEBIAN_GRUB, installGrub2, NAME_BOOT_DISK } from './fix-boot-loader.ts'
import { REBUILD_INITRAMFS } from './fix-initramfs.ts'
import { COMMON_CHECKS, COMMON_PROOFS, COMMON_SETTINGS } from './boot-steps.ts'
import type { FixUp } from './fix-up.ts'
import { RELABEL } from './fix-selinux.ts'
import { FILL_EFI_BOOT } from './fix-uefi.ts'
import type { Firmware } from './boot-family.ts'

/** What only looks comes first, configuration before what is built from it (links and drivers go into the initramfs, defaults into the menu); SELinux, where a person has it on, comes last. */
export function debianFixUps(firmware: Firmware): readonly FixUp[] {
  return [
    ...COMMON_CHECKS, ...COMMON_SETTINGS, REBUILD_INITRAMFS,
    ...firmware === 'uefi' ? [FILL_EFI_BOOT] : [installGrub2(DEBIAN_GRUB), NAME_BOOT_DISK], checkMenu(DEBIAN_GRUB), ...COMMON_PROOFS, RELABEL,
  ]
}
