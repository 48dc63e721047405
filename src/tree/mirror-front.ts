/**
 * How far a mirror has come, for the replication that runs beside it, and what that has replaced, for the mirror. Both send to one stream, and
 * one applier applies in the order of sending. The argument why the replica is equal in the end:
 *
 * What the mirror sends is as old as its look, so replication must not overtake it. The mirror works on directories: one is `begun` when it
 * is known and waits, and `ended` when all was sent that was found in it, and what is below it has begun. Replication brings over a change
 * of a name only when no directory at or above its parent, and none at or below the name, is under way (`hasPassed`). Then no look of the
 * mirror that is older than the change is on its way to that name, and none comes: a directory does not begin twice within a round, and a
 * round begins while no cycle of replication runs (`alone`). All other changes wait (replication/changes-beside-mirror.ts); those of what
 * has just ended are brought over then, the rest when the mirror is over. So the mirror sees to what it has not reached, replication to what
 * it has passed, and orphans of a directory are found by a mirror that nobody disturbs there.
 *
 * What the mirror knows beyond a directory is which name carries an object with several names: others are linked to it later. When
 * replication has replaced the carrier, or a directory above it, by then (`replaced` is told before anything is sent), the link leads to
 * something else: the mirror asks after it has sent the link, and has such a name looked at again (`lookAgain`). Replication never makes
 * links beside a mirror, and looks at names of objects with several only when the mirror is over: so it writes in place only to what the
 * mirror has made right, and the mirror never to an object that has got another name meanwhile. An operation of the mirror that was refused
 * because the directory above had been replaced is looked at again, too.
 *
 * A renamed directory is gone for the mirror, and its new name is a change in a directory that was passed, or will be. Nothing is moved on
 * the replica: where something was is not certain (replication/looked.ts). It is sent again.
 */
import { InTurn } from '../clock/in-turn.ts'
import { parentOf, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'

/** Replaced names that are remembered; past it all count as replaced, which only has names looked at again. */
const MAX_REPLACED = 200_000

export interface NameOfVolume { volume: number, path: RelPath }

export class MirrorFront {
  /** directories under way, and for each directory the number of its subdirectories with some at or below them, and one more when it is under way itself */
  readonly #begun = new Set<string>()
  readonly #below = new Map<string, number>()
  readonly #replaced = new Set<string>()
  #again: NameOfVolume[] = []
  readonly #cycles = new InTurn()
  /** grows when a directory has ended */
  ended = 0

  /** The directory waits for the mirror, or is being mirrored, until `end`. */
  begin(volume: number, directory: RelPath): void {
    const key = keyOf(volume, directory)
    if (this.#begun.has(key)) return
    this.#begun.add(key)
    this.#count(volume, directory, 1)
  }

  /** All that was found in it was sent, and its subdirectories have begun. */
  end(volume: number, directory: RelPath): void {
    if (!this.#begun.delete(keyOf(volume, directory))) return
    this.#count(volume, directory, -1)
    this.ended++
  }

  /** Whether the mirror is through with the name and all that is below it, for this round. */
  hasPassed(volume: number, path: RelPath): boolean {
    if (this.#begun.size === 0) return true
    if ((this.#below.get(keyOf(volume, path)) ?? 0) > 0) return false
    for (let at = path; at.length > 0;) {
      at = parentOf(at)
      if (this.#begun.has(keyOf(volume, at))) return false
    }
    return true
  }

  /** Replication is about to give the name what it stands for now. */
  replaced(volume: number, path: RelPath): void {
    if (this.#replaced.size < MAX_REPLACED) this.#replaced.add(keyOf(volume, path))
  }

  /** Whether replication has replaced the name, or a directory above it. */
  wasReplaced(volume: number, path: RelPath): boolean {
    if (this.#replaced.size === 0) return false
    if (this.#replaced.size >= MAX_REPLACED) return true
    for (let at = path; at.length > 0; at = parentOf(at)) if (this.#replaced.has(keyOf(volume, at))) return true
    return false
  }

  /** The mirror may have sent something else for the name than it should have: replication looks at it. */
  lookAgain(volume: number, path: RelPath): void {
    this.#again.push({ volume, path })
  }

  takeAgain(): readonly NameOfVolume[] {
    const again = this.#again
    this.#again = []
    return again
  }

  /** Runs a cycle of replication, or work of the mirror during which there is none, one after the other. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    return await this.#cycles.run(work)
  }

  #count(volume: number, directory: RelPath, by: 1 | -1): void {
    for (let at = directory; ; at = parentOf(at)) {
      const key = keyOf(volume, at)
      const before = this.#below.get(key) ?? 0
      if (before + by > 0) this.#below.set(key, before + by)
      else this.#below.delete(key)
      if ((by === 1 ? before : before + by) > 0 || at.equals(ROOT_PATH)) return
    }
  }
}

function keyOf(volume: number, path: RelPath): string {
  return `${String(volume)}/${path.toString('latin1')}`
}
