/** Virtual hardware that every kernel which the source can boot has drivers for (cutover.md C05). */
import type { Kernel } from '../domain/workload.ts'

/** Best first. */
export const CONTROLLERS = [['pvscsi', 'vmw_pvscsi'], ['lsilogic', 'mptspi']] as const
export const NICS = [['vmxnet3', 'vmxnet3'], ['e1000e', 'e1000e'], ['e1000', 'e1000']] as const

/** Drivers that belong into the initramfs where the kernel has them as modules: controllers, disks, network. */
export const REPLICA_DRIVERS = ['vmw_pvscsi', 'mptbase', 'mptscsih', 'mptspi', 'mptsas', 'ahci', 'sd_mod', 'vmxnet3', 'e1000', 'e1000e', 'nvme'] as const

/** The disk controller, or undefined when no type suits all kernels (or there is no kernel). */
export function chooseController(kernels: readonly Pick<Kernel, 'drivers'>[]): (typeof CONTROLLERS)[number][0] | undefined {
  return kernels.length === 0 ? undefined : CONTROLLERS.find(([, driver]) => kernels.every(k => k.drivers.includes(driver)))?.[0]
}

/** The network adapter's type, or undefined when no type suits all kernels. */
export function chooseNic(kernels: readonly Pick<Kernel, 'drivers'>[]): (typeof NICS)[number][0] | undefined {
  return kernels.length === 0 ? undefined : NICS.find(([, driver]) => kernels.every(k => k.drivers.includes(driver)))?.[0]
}

/** The kernel module that drives a planned controller or adapter. */
export function driverOf(type: (typeof CONTROLLERS)[number][0] | (typeof NICS)[number][0]): string {
  return [...CONTROLLERS, ...NICS].find(([name]) => name === type)?.[1] ?? type
}
