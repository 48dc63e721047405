/** A process by id and start time, so that a number the kernel gave to somebody else is never taken for ours. Read from /proc. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'

const SETTLE_MS = 200

/** "pid starttime", or undefined when no such process lives (a zombie does not). */
export function identityOf(pid: number): string | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
  } catch {
    return undefined // ended
  }
  // the command name is in parentheses and may hold anything; state and start time are fields 3 and 22
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? undefined : `${String(pid)} ${fields[19] ?? ''}`
}

export function isAlive(identity: string): boolean {
  return identityOf(Number.parseInt(identity, 10)) === identity.trim()
}

/** Whether this process holds `file` from now on: one process at a time does, and one that has died does not count. Remove it to let go. */
export async function claim(file: string): Promise<boolean> {
  const me = identityOf(process.pid) ?? ''
  const own = `${file}.${randomUUID()}`
  try {
    // with its content from the first moment: whoever found it empty would take it for that of a dead one
    await writeFile(own, me)
    await link(own, file)
    return true
  } catch {
    const other = await readFile(file, 'utf8').catch(() => undefined)
    if (other === undefined || isAlive(other)) return false // let go meanwhile, or held
    await rename(own, file)
    // of several that find it dead at once the last one has it
    await setTimeout(SETTLE_MS)
    return await readFile(file, 'utf8').catch(() => undefined) === me
  } finally {
    await rm(own, { force: true })
  }
}

/** Polls until `condition` gives something but undefined or false; bounded. */
export async function waitUntil<T>(what: string, timeoutMs: number, condition: () => T | Promise<T>, signal?: AbortSignal): Promise<Exclude<T, undefined | false>> {
  const end = Date.now() + timeoutMs
  for (;;) {
    signal?.throwIfAborted()
    const value = await condition()
    if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>
    if (Date.now() > end) throw new Error(`timed out after ${String(timeoutMs)} ms waiting for ${what}`)
    await setTimeout(50)
  }
}
