/**
 * Runs one of the replica's own programs inside the replica's root. What lies there is the source's and not trusted, so the program gets its
 * own mount, network, PID, IPC and host name namespaces, a read-only /proc of its own (a writable one has sysctls that make the kernel start
 * programs outside), no network at all, no new privileges, and none of the capabilities with which it could make devices, mount, load modules,
 * see other processes, or leave its root. It may write to the devices that /dev of the root shows, and to nothing else. It has bounded
 * memory, processes, output and time, and ends with this call: its PID namespace is killed with it.
 */
import { GuestGroup } from './guest-group.ts'
import type { Runner, RunResult } from './runner.ts'

export interface GuestRun {
  timeoutMs: number
  /**
   * mount points outside of the root that its namespace lets go at once: as long as a namespace has a copy of a mount, that file system is
   * in use, also when it was unmounted here, and its disk cannot be detached
   */
  letGo?: readonly string[]
  /** added to PATH, LC_ALL, HOME, TMPDIR and DEBIAN_FRONTEND */
  env?: Readonly<Record<string, string>>
  input?: string
  allowedExitCodes?: readonly number[]
}

/** All that programs which build an initramfs or install a boot loader do not need. `capsh` drops them after it has changed the root. */
const DROPPED = [
  'audit_control', 'audit_read', 'audit_write', 'block_suspend', 'bpf', 'checkpoint_restore', 'dac_read_search', 'ipc_lock', 'ipc_owner', 'lease', 'linux_immutable',
  'mac_admin', 'mac_override', 'mknod', 'net_admin', 'net_bind_service', 'net_broadcast', 'net_raw', 'perfmon', 'setpcap', 'sys_admin', 'sys_boot',
  'sys_chroot', 'sys_module', 'sys_nice', 'sys_pacct', 'sys_ptrace', 'sys_rawio', 'sys_resource', 'sys_time', 'sys_tty_config', 'syslog', 'wake_alarm',
].map(name => `cap_${name}`).join(',')

/**
 * $1: the root. Then a count and so many control groups to join, then a count and so many mounts to let go as far as they are there still; becomes
 * the rest. The PID namespace is this shell's already, so that the new /proc shows nothing else.
 */
const ENTER = `root=$1; count=$2; shift 2
while [ "$count" -gt 0 ]; do echo 0 > "$1/cgroup.procs" || exit 125; shift; count=$((count - 1)); done
count=$1; shift
while [ "$count" -gt 0 ]; do umount --lazy -- "$1" 2>/dev/null; shift; count=$((count - 1)); done
mount --types proc --options ro,nosuid,nodev,noexec -- proc "$root/proc" || exit 125
exec "$@"`

/** A file of one program may not grow without end: what it fills is its own disk, but a cutover would wait for it. */
const MAX_FILE_BYTES = 8 * 2 ** 30
const MAX_OPEN_FILES = 4096

/** No login shell, no host environment: what cutover.md asks of every guest tool. */
const GUEST_ENV = { PATH: '/sbin:/usr/sbin:/usr/bin:/bin', LC_ALL: 'C', HOME: '/root', TMPDIR: '/tmp', DEBIAN_FRONTEND: 'noninteractive' }

/**
 * Runs `program` (a name, looked up inside the root) with `args`; its standard input is empty or `input`.
 * @param root assembled root with /dev, /sys and /tmp mounted (VolumeStack.assemble)
 * @throws {AppError} TOOL_FAILED (also when it wrote more than the Runner keeps), TOOL_TIMEOUT; a program that is missing ends with 127
 */
export async function runInRoot(runner: Runner, root: string, program: string, args: readonly string[], run: GuestRun, signal: AbortSignal): Promise<RunResult> {
  const env = Object.entries({ ...GUEST_ENV, ...run.env }).map(([key, value]) => `${key}=${value}`)
  const letGo = run.letGo ?? []
  await using group = await GuestGroup.make()
  return await runner.run('unshare', [
    '--mount', '--propagation', 'private', '--net', '--ipc', '--uts', '--pid', '--fork', '--kill-child', '--',
    'sh', '-c', ENTER, 'sh', root, String(group.directories.length), ...group.directories, String(letGo.length), ...letGo,
    'prlimit', `--fsize=${String(MAX_FILE_BYTES)}`, `--nofile=${String(MAX_OPEN_FILES)}`, '--core=0', '--',
    'capsh', `--chroot=${root}`, `--drop=${DROPPED}`, '--no-new-privs', '--shell=/usr/bin/env', '--', '-i', ...env, program, ...args,
  ], {
    signal, timeoutMs: run.timeoutMs, input: run.input ?? '', ...(run.allowedExitCodes === undefined ? {} : { allowedExitCodes: run.allowedExitCodes }),
  })
}
