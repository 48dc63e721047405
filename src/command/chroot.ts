/**
 * Runs one of the replica's own programs inside the replica's root. What lies there is the source's and not trusted, so the program gets its
 * own mount, network, PID, IPC and host name namespaces, a /proc of its own, no network at all, no new privileges, and none of the
 * capabilities with which it could make devices, mount, load modules, see other processes or leave its root. It may write to the devices
 * that /dev of the root shows, and to nothing else. It ends with this call: its PID namespace is killed with it.
 */
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
  'audit_control', 'audit_read', 'audit_write', 'block_suspend', 'bpf', 'checkpoint_restore', 'ipc_lock', 'ipc_owner', 'lease', 'linux_immutable',
  'mac_admin', 'mac_override', 'mknod', 'net_admin', 'net_bind_service', 'net_broadcast', 'net_raw', 'perfmon', 'setpcap', 'sys_admin', 'sys_boot',
  'sys_chroot', 'sys_module', 'sys_nice', 'sys_pacct', 'sys_ptrace', 'sys_rawio', 'sys_resource', 'sys_time', 'sys_tty_config', 'syslog', 'wake_alarm',
].map(name => `cap_${name}`).join(',')

/** Unmounts the first $1 arguments, as far as they are mounted still, and becomes the rest. */
const LET_GO = 'count=$1; shift; while [ "$count" -gt 0 ]; do umount --lazy -- "$1" 2>/dev/null; shift; count=$((count - 1)); done; exec "$@"'

/** No login shell, no host environment: what cutover.md asks of every guest tool. */
const GUEST_ENV = { PATH: '/sbin:/usr/sbin:/usr/bin:/bin', LC_ALL: 'C', HOME: '/root', TMPDIR: '/tmp', DEBIAN_FRONTEND: 'noninteractive' }

/**
 * Runs `program` (a name, looked up inside the root) with `args`; its standard input is empty or `input`.
 * @param root assembled root with /dev, /sys and /tmp mounted (VolumeStack.assemble)
 * @throws {AppError} TOOL_FAILED, TOOL_TIMEOUT; a program that is missing ends with 127
 */
export async function runInRoot(runner: Runner, root: string, program: string, args: readonly string[], run: GuestRun, signal: AbortSignal): Promise<RunResult> {
  const env = Object.entries({ ...GUEST_ENV, ...run.env }).map(([key, value]) => `${key}=${value}`)
  const letGo = run.letGo ?? []
  return runner.run('unshare', [
    '--mount', '--propagation', 'private', '--net', '--ipc', '--uts', '--pid', '--fork', '--kill-child', `--mount-proc=${root}/proc`, '--',
    'sh', '-c', LET_GO, 'sh', String(letGo.length), ...letGo,
    'capsh', `--chroot=${root}`, `--drop=${DROPPED}`, '--no-new-privs', '--shell=/usr/bin/env', '--', '-i', ...env, program, ...args,
  ], {
    signal, timeoutMs: run.timeoutMs, input: run.input ?? '', ...(run.allowedExitCodes === undefined ? {} : { allowedExitCodes: run.allowedExitCodes }),
  })
}
