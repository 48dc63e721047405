/**
 * Runs one command-line tool and returns its bounded output. The seam under every wrapper of this folder; promises no shell, a fixed
 * environment, one deadline; never holds a secret in an argument.
 */
export interface Runner {
  /**
   * @throws {AppError} TOOL_MISSING when the tool is not installed, TOOL_TIMEOUT after `timeoutMs`, TOOL_FAILED on any other end but exit 0
   * (the message holds the end of its standard error; with `keepEndBytes` of all that it wrote). An abort rejects with the signal's reason; the tool is ended first.
   */
  run(tool: Tool | Program, args: readonly string[], options: RunOptions): Promise<RunResult>
}
/** The tools the product starts. */
export type Tool =
  | 'lsblk' | 'blkid' | 'findmnt' | 'sfdisk' | 'partx' | 'wipefs' | 'udevadm'
  | 'dumpe2fs' | 'mkfs.ext4' | 'e2fsck' | 'tune2fs' | 'mkfs.xfs' | 'mkfs.btrfs' | 'mkfs.vfat' | 'fatlabel' | 'fsck.vfat' | 'xfs_info' | 'xfs_repair' | 'xfs_admin' | 'mkswap'
  | 'vgs' | 'pvs' | 'lvs' | 'mdadm' | 'cryptsetup' | 'btrfs' | 'lsattr' | 'chattr' | 'fallocate' | 'pvcreate' | 'vgcfgrestore' | 'vgchange' | 'dmsetup'
  | 'chroot' | 'unshare' | 'blockdev' | 'ip' | 'systemctl' | 'lsinitramfs' | 'openssl' | 'cp' | 'sync' | 'find'
/** The absolute path of a program that the product has not chosen; who runs it has checked who may write it. */
export type Program = `/${string}`
export interface RunOptions {
  signal: AbortSignal
  timeoutMs: number
  /** written to the tool's standard input, then closed */
  input?: string
  /** added to the fixed base environment (LC_ALL=C, PATH); may hold secrets, arguments may not */
  env?: Readonly<Record<string, string>>
  /** exit codes that are answers, not failures (e2fsck 1); default none but 0 */
  allowedExitCodes?: readonly number[]
  /** of each stream only the end is kept, so many bytes, however much is written; left out: all, and too much is TOOL_FAILED */
  keepEndBytes?: number
}
export interface RunResult { stdout: string, stderr: string, exitCode: number, durationMs: number }
