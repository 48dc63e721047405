/**
 * Typed face of the addon's freezing of file systems through the watchdog `landfall-thaw` (bin/landfall-thaw says the messages). Nothing of it
 * waits for libuv's pool, in which looks at files of a frozen file system may hang.
 */
export interface NativeWatchdog {
  /** The next message, 7 bytes: letter, index (u16), errno (i32). Rejects when the watchdog is gone; all that it had frozen is thawed then. */
  message(): Promise<Buffer>
  /** Gives an order, and does not wait. */
  order(order: number): void
  /** Begins to thaw without the watchdog, and ends it. */
  abandon(): void
  /** Lets the watchdog go: it thaws. */
  end(): void
  pid(): number
}

export interface NativeFreezing {
  FreezeWatchdog: { start(program: Buffer, holdMs: number, freezeMs: number, mountPoints: readonly Buffer[]): NativeWatchdog }
}

/** Where `npm run addon` puts the watchdog. */
export const WATCHDOG_PROGRAM = new URL('addon/landfall-thaw', import.meta.url).pathname
