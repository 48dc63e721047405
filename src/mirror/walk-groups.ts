/** Walks a tree of directories depth first, several groups of them at once: one reads while another waits for the replica. */

/** Directories that one group takes; a group asks the replica for all its listings in one round trip. */
const GROUP_DIRECTORIES = 64
/** Groups at work at the same time. */
const GROUPS_AT_ONCE = 3

/**
 * `run` does one group and gives the directories to go on with. `between` is called now and then.
 * @throws what `run` or `between` throws; the other groups are stopped and have ended then
 */
export async function walkGroups<Directory>(
  first: readonly Directory[], run: (group: readonly Directory[], signal: AbortSignal) => Promise<readonly Directory[]>, between: () => void, signal: AbortSignal,
): Promise<void> {
  const pending = [...first]
  const running = new Set<Promise<void>>()
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  try {
    while (pending.length > 0 || running.size > 0) {
      both.throwIfAborted()
      while (pending.length > 0 && running.size < GROUPS_AT_ONCE) {
        // leave something for the others when there is little
        const size = Math.max(1, Math.min(GROUP_DIRECTORIES, Math.ceil(pending.length / GROUPS_AT_ONCE)))
        const group = pending.splice(-size)
        const turn: Promise<void> = run(group, both)
          .then(children => { for (const child of children) pending.push(child) })
          .finally(() => { running.delete(turn) })
        running.add(turn)
      }
      await Promise.race(running)
      between()
    }
  } catch (error) {
    stop.abort(error)
    throw error
  } finally {
    await Promise.allSettled(running)
  }
}
