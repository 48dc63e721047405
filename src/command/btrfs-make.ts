/** Subvolumes and labels of a btrfs: `btrfs subvolume create`, `set-default`, `btrfs filesystem label`. Paths are absolute and our own. */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 120_000

/** @throws {AppError} what Runner throws */
export async function createSubvolume(runner: Runner, path: string, signal: AbortSignal): Promise<void> {
  await runner.run('btrfs', ['subvolume', 'create', path], { signal, timeoutMs: TIMEOUT_MS })
}

/** What a mount without "subvol" shows from now on. @throws {AppError} what Runner throws */
export async function setDefaultSubvolume(runner: Runner, path: string, signal: AbortSignal): Promise<void> {
  await runner.run('btrfs', ['subvolume', 'set-default', path], { signal, timeoutMs: TIMEOUT_MS })
}

/** Sets the label of the unmounted file system on `device`; '' for none. @throws {AppError} what Runner throws */
export async function labelBtrfs(runner: Runner, device: string, label: string, signal: AbortSignal): Promise<void> {
  await runner.run('btrfs', ['filesystem', 'label', device, label], { signal, timeoutMs: TIMEOUT_MS })
}
