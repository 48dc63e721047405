/** What the addon exports for mounting.ts (addon/src/mounts.rs). */
export interface NativeMounting {
  mount(source: Buffer | undefined, target: Buffer, type: Buffer | undefined, flags: number, data: Buffer | undefined): Promise<void>
  unmount(target: Buffer): Promise<void>
  makeDevice(path: Buffer, block: boolean, major: number, minor: number, mode: number): Promise<void>
  setModified(path: Buffer, seconds: number, nanoseconds: number): Promise<void>
}
