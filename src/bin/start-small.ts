/**
 * The agent is a guest on a customer's server. It has less room for V8's new objects, a first look for old garbage after 40 MB instead of 128 or more (after
 * 24, which replication needs, V8 marked its whole heap every 0.4 s), and few heaps for what is not V8's. What it does not need any more it gives back (agent/own-memory.ts).
 */

/** V8 takes these at its start only. */
export const SMALL_FLAGS: readonly string[] = ['--max-semi-space-size=2', '--initial-old-space-size=40']

/** How many heaps glibc has for all threads; without, eight for each processor, each of which keeps what its busiest moment took. */
export const SMALL_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '2' }

/** Becomes the same process with both, where it was not started so: a service that gives them saves that. */
export function startSmall(): void {
  if (SMALL_FLAGS.every(flag => process.execArgv.includes(flag)) || process.execve === undefined) {
    // nobody's whom the agent starts
    for (const name of Object.keys(SMALL_ENVIRONMENT)) Reflect.deleteProperty(process.env, name)
    return
  }
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...SMALL_FLAGS, ...process.argv.slice(1)], { ...process.env, ...SMALL_ENVIRONMENT })
}
