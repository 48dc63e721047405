/** Typed face of the addon's freezing of file systems through the watchdog process `landfall-thaw` (bin/landfall-thaw.rs says the bytes). */
export interface NativeWatchdog {
  /** `R`, or `N` with index (u16) and errno (i32) of the mount point that failed */
  ready(): Promise<Buffer>
  /** Answers the watchdog's answer; rejects with `errno 32` when the watchdog is gone. */
  order(order: number): Promise<Buffer>
  /** Thaws without the watchdog. */
  thawOurselves(): Promise<void>
  /** Lets the watchdog go (it thaws unless it was told to leave) and waits for its end; twice is fine. */
  end(): Promise<void>
  pid(): number
}

export interface NativeFreezing {
  FreezeWatchdog: { start(program: Buffer, holdMs: number, mountPoints: readonly Buffer[]): NativeWatchdog }
}

/** Where `npm run addon` puts the watchdog. */
export const WATCHDOG_PROGRAM = new URL('addon/landfall-thaw', import.meta.url).pathname
