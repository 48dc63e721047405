/** Sets what mke2fs cannot set exactly: `tune2fs`. One run writes the superblock once, so all of it is there or none. */
import type { Runner } from './runner.ts'

export interface ExtTuning {
  label: string
  reservedBlockCount: number
  /** words of "Default mount options"; exactly these are set */
  defaultMountOptions: readonly string[]
  errorsBehavior: 'continue' | 'remount-ro' | 'panic'
  maximumMountCount: number
  checkIntervalSeconds: number
  directoryHash?: string
}

const TIMEOUT_MS = 120_000

/** All that tune2fs knows by name: those that are not wanted are cleared, for mke2fs has defaults of its own also without its configuration. */
const MOUNT_OPTIONS = [
  'debug', 'bsdgroups', 'user_xattr', 'acl', 'uid16', 'journal_data', 'journal_data_ordered', 'journal_data_writeback', 'nobarrier', 'block_validity', 'discard', 'nodelalloc',
] as const

/** Tunes the unmounted ext file system on `device`. @throws {AppError} what Runner throws */
export async function tuneExt(runner: Runner, device: string, o: ExtTuning, signal: AbortSignal): Promise<void> {
  await runner.run('tune2fs', [
    '-L', o.label, '-r', String(o.reservedBlockCount), '-e', o.errorsBehavior, '-c', String(o.maximumMountCount), '-i', `${String(o.checkIntervalSeconds)}s`,
    '-o', [...MOUNT_OPTIONS.filter(name => !o.defaultMountOptions.includes(name)).map(name => `^${name}`), ...o.defaultMountOptions].join(','),
    ...(o.directoryHash === undefined ? [] : ['-E', `hash_alg=${o.directoryHash}`]),
    '--', device,
  ], { signal, timeoutMs: TIMEOUT_MS })
}
