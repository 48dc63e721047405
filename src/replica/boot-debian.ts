/** The fix-ups that make a Debian or Ubuntu system with GRUB and BIOS boot on VMware hardware, in their order. */
import { SET_ADDRESSES } from './fix-addresses.ts'
import { CHECK_MENU, INSTALL_BOOT_LOADER, NAME_BOOT_DISK } from './fix-boot-loader.ts'
import { FIX_FSTAB } from './fix-fstab.ts'
import { REBUILD_INITRAMFS } from './fix-initramfs.ts'
import { FIX_KERNEL_COMMAND_LINE } from './fix-kernel-command-line.ts'
import { FIX_ROOM } from './fix-room.ts'
import { REMOVE_AGENT, STOP_FOREIGN_SERVICES } from './fix-services.ts'
import { FORGET_LVM_DEVICES, REMOVE_CACHES, STOP_CLOUD_INIT } from './fix-stale-state.ts'
import { REPORT_CLOCK, REPORT_TOOLS } from './fix-tools.ts'
import type { FixUp } from './fix-up.ts'
import { INSTALL_FIRST_BOOT } from './first-boot.ts'
import { KEEP_MACHINE_IDENTITY, KEEP_NETWORK_NAMES } from './identity.ts'
import { CHECK_KERNELS } from './replica-kernels.ts'

/** What only looks comes first, configuration before what is built from it (links and drivers go into the initramfs, defaults into the menu). */
export const DEBIAN_BIOS_FIX_UPS: readonly FixUp[] = [
  FIX_ROOM, CHECK_KERNELS, KEEP_MACHINE_IDENTITY,
  REMOVE_AGENT, STOP_FOREIGN_SERVICES, FIX_FSTAB, FORGET_LVM_DEVICES, FIX_KERNEL_COMMAND_LINE, KEEP_NETWORK_NAMES, SET_ADDRESSES, STOP_CLOUD_INIT, REMOVE_CACHES,
  REPORT_CLOCK, REPORT_TOOLS, INSTALL_FIRST_BOOT,
  REBUILD_INITRAMFS, INSTALL_BOOT_LOADER, NAME_BOOT_DISK, CHECK_MENU,
]
