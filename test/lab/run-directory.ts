/**
 * One folder per running lab, and the sweeping of it: whatever a lab leaves behind — processes, mounts, loop devices, a network namespace —
 * is recognised by its folder's name alone, so that also a lab that was ended with kill -9 can be cleaned by the next one.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { RUNS } from './paths.ts'
import { claim, identityOf, isAlive } from './process-identity.ts'
import { detachLoop, loopsBelow } from './loop-devices.ts'
import { tool } from './tool.ts'

/** Every process of a lab carries this variable with the id of its run. */
export const RUN_VARIABLE = 'LANDFALL_LAB_RUN'

/** Of a run's folder: leads to the folder of its source's scripts, which lies elsewhere. */
export const RUN_SCRIPTS = 'scripts'

/** The network namespace of a run's source server. */
export const namespaceOf = (runId: string): string => `landfall-${runId}`

export interface RunDirectory { id: string, path: string }

export async function createRunDirectory(): Promise<RunDirectory> {
  const id = randomBytes(4).toString('hex')
  const path = join(RUNS, id)
  await mkdir(path, { recursive: true, mode: 0o700 })
  await writeFile(join(path, 'owner'), identityOf(process.pid) ?? '')
  return { id, path }
}

/** Removes everything that runs without a living owner left behind; answers their ids. What cannot be removed is told on standard error, and harms nobody else. */
export async function sweepStaleRuns(): Promise<string[]> {
  const swept: string[] = []
  for (const id of await readdir(RUNS).catch(() => [])) {
    const owner = await readFile(join(RUNS, id, 'owner'), 'utf8').catch(() => undefined)
    // without an owner file the run is being made right now, or its files were kept on purpose
    if (owner === undefined || isAlive(owner) || !await claim(join(RUNS, id, 'sweeper'))) continue
    try {
      await sweep({ id, path: join(RUNS, id) })
      swept.push(id)
    } catch (error) {
      process.stderr.write(`what the lab ${id} left behind was not all removed: ${error instanceof Error ? error.message : String(error)}\n`)
    }
  }
  return swept
}

/** Ends the run's processes, thaws and unmounts its file systems, detaches its loop devices, deletes its namespace and folder. Safe to repeat. */
export async function sweep(run: RunDirectory, options: { keepFiles?: boolean } = {}): Promise<void> {
  signalAll(await processesOf(run), 'SIGTERM')
  const patience = Date.now() + 3000
  while (Date.now() < patience && (await processesOf(run)).length > 0) await new Promise(resolve => setTimeout(resolve, 50))
  signalAll(await processesOf(run), 'SIGKILL')
  // a process that waits on a frozen file system ends only once that is thawed
  const mounts = await mountsBelow(run.path)
  for (const mount of mounts) await tool('fsfreeze', ['--unfreeze', mount], { allowedExitCodes: [1], timeoutMs: 10_000 })
  const ended = Date.now() + 5000
  while (Date.now() < ended && (await processesOf(run)).length > 0) await new Promise(resolve => setTimeout(resolve, 50))
  for (const mount of (await mountsBelow(run.path)).reverse()) {
    await tool('umount', [mount], { allowedExitCodes: [32], timeoutMs: 30_000 })
  }
  for (const mount of (await mountsBelow(run.path)).reverse()) await tool('umount', ['--lazy', mount], { allowedExitCodes: [32] })
  for (const loop of await loopsBelow(run.path)) await detachLoop(loop)
  const namespace = namespaceOf(run.id)
  const { stdout } = await tool('ip', ['netns', 'list'])
  if (stdout.split('\n').some(line => line.split(' ')[0] === namespace)) await tool('ip', ['netns', 'delete', namespace], { allowedExitCodes: [1] })
  const scripts = await readlink(join(run.path, RUN_SCRIPTS)).catch(() => undefined)
  if (scripts !== undefined) await rm(scripts, { recursive: true, force: true })
  // kept files have no owner, so that no later sweep takes them
  await rm(options.keepFiles === true ? join(run.path, 'owner') : run.path, { recursive: true, force: true })
}

/** Mount points at or below `path`, outermost first. */
export async function mountsBelow(path: string): Promise<string[]> {
  const mountInfo = await readFile('/proc/self/mountinfo', 'utf8')
  const points = mountInfo.split('\n').map(line => unescapeMount(line.split(' ')[4] ?? ''))
  return points.filter(point => point === path || point.startsWith(`${path}/`))
}

/** mountinfo writes blanks, tabs, newlines and backslashes as octal */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

/** Processes that carry the run's variable, or whose root or working directory lies in the run's folder; never this process. */
async function processesOf(run: RunDirectory): Promise<number[]> {
  const found: number[] = []
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid || identityOf(pid) === undefined) continue
    const environment = await readFile(`/proc/${entry}/environ`, 'latin1').catch(() => '')
    const places = await Promise.all(['root', 'cwd'].map(async name => await readlink(`/proc/${entry}/${name}`).catch(() => '')))
    if (environment.split('\0').includes(`${RUN_VARIABLE}=${basename(run.path)}`) || places.some(place => place === run.path || place.startsWith(`${run.path}/`))) found.push(pid)
  }
  return found
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // ended between the look and the signal: what we want
    }
  }
}
