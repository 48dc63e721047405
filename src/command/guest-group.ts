/** A control group for one run of a program of the source: so many processes and so much memory, and not the appliance's. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { setTimeout } from 'node:timers/promises'

const CONTROL_GROUPS = '/sys/fs/cgroup'
/** Builders of an initramfs start a few dozen at once. */
const MAX_PROCESSES = 512
/** Of the memory of this machine; what programs write to /tmp and /run counts, too. */
const MEMORY_PART = 0.6
/** The kernel removes a group a moment after its last process. */
const REMOVE_TRIES = 100
const REMOVE_PAUSE_MS = 20

export class GuestGroup implements AsyncDisposable {
  /** the group's directory, one for each hierarchy that it is in; empty where the kernel has no control groups that may be made */
  readonly directories: readonly string[]

  private constructor(directories: readonly string[]) {
    this.directories = directories
  }

  /** Version 2 of control groups where it has the two controllers, else version 1. */
  static async make(): Promise<GuestGroup> {
    const name = `landfall-guest-${randomBytes(6).toString('hex')}`
    const memory = String(Math.floor(totalmem() * MEMORY_PART))
    const controllers = (await readFile(`${CONTROL_GROUPS}/cgroup.subtree_control`, 'utf8').catch(() => '')).trim().split(' ')
    const limits = controllers.includes('pids') && controllers.includes('memory')
      ? [{ folder: CONTROL_GROUPS, settings: [['pids.max', String(MAX_PROCESSES)], ['memory.max', memory]] as const }]
      : [{ folder: `${CONTROL_GROUPS}/pids`, settings: [['pids.max', String(MAX_PROCESSES)]] as const }, { folder: `${CONTROL_GROUPS}/memory`, settings: [['memory.limit_in_bytes', memory]] as const }]
    const directories: string[] = []
    for (const { folder, settings } of limits) {
      const directory = `${folder}/${name}`
      try {
        await mkdir(directory)
        directories.push(directory)
        for (const [file, value] of settings) await writeFile(`${directory}/${file}`, value)
      } catch {
        // a machine without them (a container): the namespaces are what keeps the program in, this only bounds what it takes
      }
    }
    return new GuestGroup(directories)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const directory of this.directories) {
      for (let i = 0; i < REMOVE_TRIES; i++) {
        if (await rmdir(directory).then(() => true, () => false)) break
        await setTimeout(REMOVE_PAUSE_MS)
      }
    }
  }
}
