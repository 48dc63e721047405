/** A guest: a QEMU process with a console that is a file, the lab's shell, and QEMU's machine protocol. It ends with its run. */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startProcess, type LabProcess } from '../lab-process.ts'
import { waitUntil } from '../process-identity.ts'
import type { RunDirectory } from '../run-directory.ts'
import { openGuestShell, type GuestShell } from './guest-shell.ts'
import { openQmp, type Qmp } from './qmp.ts'

export interface Guest extends AsyncDisposable {
  readonly name: string
  readonly shell: GuestShell
  readonly qmp: Qmp
  readonly process: LabProcess
  readonly consoleFile: string
  console(): Promise<string>
  /** Waits until the console matches, from `from` on. @throws {Error} with its end when the guest ends before or in time */
  waitForConsole(pattern: RegExp, timeoutMs: number, from?: number): Promise<RegExpExecArray>
}

export interface GuestHardware {
  name: string
  memoryMib: number
  cpus?: number
  /** it starts again when it says so, instead of ending */
  restarts?: boolean
  /** further arguments of QEMU: disks, adapters, what it starts from */
  arguments: readonly string[]
}

/**
 * What each kernel is told that QEMU starts, as `root.sh` has it for GRUB. The kernel's guards against the processor's leaks protect nothing under emulation, where
 * they cost much: with them update-initramfs takes 360 s in the appliance, without 260 s. And with `norandmaps` each program is where it was when QEMU
 * translated its code: a process starts in 25 ms instead of 60.
 */
export const KERNEL_ARGUMENTS = 'console=ttyS0,115200 quiet mitigations=off norandmaps'

/** A socket's path may not be longer. */
const MAX_SOCKET_PATH = 107
const CONSOLE_TAIL = 3000

/** @param signal when it aborts the guest ends at once, and whoever waits for it is told so */
export async function startGuest(run: RunDirectory, o: GuestHardware, signal?: AbortSignal): Promise<Guest> {
  const file = (kind: string): string => join(run.path, `${o.name}.${kind}`)
  for (const kind of ['console', 'shell', 'qmp']) await rm(file(kind), { force: true })
  if (file('console').length > MAX_SOCKET_PATH) throw new Error(`the folder of the project has too long a name for sockets: ${run.path}`)
  const child = await startProcess(run, `qemu-${o.name}`, 'qemu-system-x86_64', [
    '-name', o.name, '-machine', 'pc', '-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', 'max', '-nodefaults', '-display', 'none', ...o.restarts === true ? [] : ['-no-reboot'],
    '-smp', String(o.cpus ?? 2), '-m', String(o.memoryMib), '-device', 'virtio-rng-pci',
    '-serial', `file:${file('console')}`, '-serial', `unix:${file('shell')},server=on,wait=off`, '-qmp', `unix:${file('qmp')},server=on,wait=off`, ...o.arguments,
  ])
  const stack = new AsyncDisposableStack()
  stack.defer(async () => { await child.kill() })
  const end = (): void => { void child.kill() }
  signal?.addEventListener('abort', end)
  stack.defer(() => { signal?.removeEventListener('abort', end) })
  try {
    const text = async (): Promise<string> => (await readFile(file('console'), 'utf8').catch(() => '')).replaceAll('\r', '')
    const shell = stack.use(await openGuestShell(file('shell'), o.name))
    const qmp = stack.use(await openQmp(file('qmp')))
    return {
      name: o.name, shell, qmp, process: child, consoleFile: file('console'), console: text,
      waitForConsole: async (pattern, timeoutMs, from = 0) => {
        try {
          return await waitUntil(`the console of ${o.name} to show ${String(pattern)}`, timeoutMs, async () => {
            const match = pattern.exec((await text()).slice(from)) ?? undefined
            if (match === undefined && !child.isRunning()) throw new Error(`${o.name} ended`)
            return match
          })
        } catch (error) {
          throw new Error(`${error instanceof Error ? error.message : String(error)}; the console ends with:\n${(await text()).slice(-CONSOLE_TAIL)}`, { cause: error })
        }
      },
      [Symbol.asyncDispose]: async () => { await stack.disposeAsync() },
    }
  } catch (error) {
    await stack.disposeAsync()
    throw new Error(`${o.name} could not be started: ${(await readFile(child.logFile, 'utf8').catch(() => '')).slice(-CONSOLE_TAIL)}`, { cause: error })
  }
}
