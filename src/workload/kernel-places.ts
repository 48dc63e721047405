/** Where the running kernel shows itself; tests point it elsewhere. */
export interface KernelPlaces { proc: string, sys: string, dev: string }

export const KERNEL_PLACES: KernelPlaces = { proc: '/proc', sys: '/sys', dev: '/dev' }
