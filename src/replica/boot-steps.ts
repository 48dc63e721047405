/** Fix-ups that every family needs, in their order. */
import { CHECK_ADAPTER_NAMES } from './check-adapter-names.ts'
import { CHECK_HARDWARE_WORDS } from './check-hardware-words.ts'
import { CHECK_DEVICE_NAMES, CHECK_OTHER_NAMES } from './check-references.ts'
import { CHECK_VLANS } from './check-vlans.ts'
import { SET_ADDRESSES } from './fix-addresses.ts'
import { STOP_CLOUD_INIT } from './fix-cloud-init.ts'
import { FIX_FSTAB } from './fix-fstab.ts'
import { FIX_KERNEL_COMMAND_LINE } from './fix-kernel-command-line.ts'
import { FIX_ROOM } from './fix-room.ts'
import { REMOVE_AGENT, STOP_FOREIGN_SERVICES } from './fix-services.ts'
import { REMOVE_CACHES } from './fix-stale-state.ts'
import { FIX_CRYPTTAB } from './fix-crypttab.ts'
import { FORGET_ARRAYS, FORGET_LVM_DEVICES, FORGET_MULTIPATH } from './fix-storage-settings.ts'
import { ENABLE_TOOLS, REPORT_CLOCK } from './fix-tools.ts'
import type { FixUp } from './fix-up.ts'
import { INSTALL_FIRST_BOOT } from './first-boot.ts'
import { KEEP_MACHINE_IDENTITY, KEEP_NETWORK_NAMES } from './identity.ts'
import { CHECK_KERNELS } from './replica-kernels.ts'

/** They only look. */
export const COMMON_CHECKS: readonly FixUp[] = [FIX_ROOM, CHECK_KERNELS, KEEP_MACHINE_IDENTITY]

/** They edit settings; what is built from these comes after them. */
export const COMMON_SETTINGS: readonly FixUp[] = [
  REMOVE_AGENT, STOP_FOREIGN_SERVICES, FIX_FSTAB, FIX_CRYPTTAB, FORGET_LVM_DEVICES, FORGET_ARRAYS, FORGET_MULTIPATH, FIX_KERNEL_COMMAND_LINE, CHECK_HARDWARE_WORDS, KEEP_NETWORK_NAMES, SET_ADDRESSES, STOP_CLOUD_INIT,
  REMOVE_CACHES, REPORT_CLOCK, ENABLE_TOOLS, INSTALL_FIRST_BOOT,
]

/** They look at what all others left. */
export const COMMON_PROOFS: readonly FixUp[] = [CHECK_DEVICE_NAMES, CHECK_OTHER_NAMES, CHECK_ADAPTER_NAMES, CHECK_VLANS]
