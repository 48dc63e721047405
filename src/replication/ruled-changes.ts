/**
 * The changes of volumes as the rules let them be seen. A change of a name that does not belong to the replica is no change, but of an object
 * that may have other names: they are looked for. A rename out of the rules, or into them, is seen as its inside half: gone, or come.
 */
import type { Change, ChangedObject, ChangeSource, ObjectIdentity } from '../capture/change-source.ts'
import type { RelPath } from '../domain/rel-path.ts'
import { EVERYTHING, type VolumeRules } from '../tree/volume-rules.ts'

/** The source itself when the rules let everything in. Disposing disposes of the source. */
export function ruledChanges(changes: ChangeSource, rules: ReadonlyMap<number, VolumeRules>): ChangeSource {
  if ([...rules.values()].every(of => of.all)) return changes
  const outsiders = new Outsiders()
  const of = (volume: number): VolumeRules => rules.get(volume) ?? EVERYTHING
  return {
    epoch: changes.epoch, startedAtNs: changes.startedAtNs, partSize: changes.partSize,
    take: async signal => (await changes.take(signal)).flatMap(change => seen(change, of(change.volume), outsiders)),
    hasMore: () => changes.hasMore(),
    moves: () => changes.moves(),
    peek: async signal => (await changes.peek(signal)).flatMap(change => seen(change, of(change.volume), outsiders)),
    looksEnded: async signal => { await changes.looksEnded(signal) },
    putBack: back => { changes.putBack(back) },
    pending: () => changes.pending(),
    status: () => changes.status(),
    settle: async (volume, signal) => await changes.settle(volume, signal),
    changedSince: async function* (volume, sinceNs, options, signal) {
      for await (const page of changes.changedSince(volume, sinceNs, options, signal)) yield* insiders(page, of(volume))
    },
    namesOf: async (volume, inodes, options, signal) => {
      const names = await changes.namesOf(volume, inodes, options, signal)
      const inside = [...names].map(([inode, paths]) => [inode, paths.filter(path => mayBeSeen(path, of(volume)))] as const)
      const found = new Map(inside.filter(([, paths]) => paths.length > 0))
      for (const inode of inodes) outsiders.note(volume, inode, found.has(inode))
      return found
    },
    [Symbol.asyncDispose]: async () => { await changes[Symbol.asyncDispose]() },
  }
}

function seen(change: Change, rules: VolumeRules, outsiders: Outsiders): Change[] {
  if (!('path' in change) || mayBeSeen(change.path, rules)) return [change]
  const object = change.kind === 'entry' ? undefined : change.object
  return object !== undefined && outsiders.mayHaveInsideNames(change.volume, object) ? [{ kind: 'object', volume: change.volume, inode: object.inode, atMs: change.atMs }] : []
}

/** Objects that are remembered; past it they are looked for again, which only costs time. */
const MAX_REMEMBERED = 50_000

/** Objects that were looked for, found to have no name inside, and have as many names as then: looking for them again would find nothing. */
class Outsiders {
  /** how many names they had when they were met by an outside name */
  #met = new Map<string, number>()
  #known = new Map<string, number>()

  mayHaveInsideNames(volume: number, { inode, linkCount }: ObjectIdentity): boolean {
    const key = `${String(volume)}/${String(inode)}`
    if (linkCount < 2 || this.#known.get(key) === linkCount) return false
    if (this.#met.size >= MAX_REMEMBERED) this.#met = new Map()
    this.#met.set(key, linkCount)
    return true
  }

  /** It was looked for. */
  note(volume: number, inode: bigint, hasInsideNames: boolean): void {
    const key = `${String(volume)}/${String(inode)}`
    const linkCount = this.#met.get(key)
    if (hasInsideNames) this.#known.delete(key)
    else if (linkCount !== undefined) {
      if (this.#known.size >= MAX_REMEMBERED) this.#known = new Map()
      this.#known.set(key, linkCount)
    }
  }
}

/** What changed inside. An object that was met by an outside name, and has others, stays: its name leads nowhere, so it is looked for. */
function insiders(page: readonly ChangedObject[], rules: VolumeRules): (readonly ChangedObject[])[] {
  const inside = page.filter(({ path, type, linkCount }) => isIn(rules, path, type === 'directory') || (type !== 'directory' && linkCount > 1))
  return inside.length === 0 ? [] : [inside]
}

/** What is at the path, or was there, may be a directory or not. */
function mayBeSeen(path: RelPath, rules: VolumeRules): boolean {
  return isIn(rules, path, false) || isIn(rules, path, true)
}

function isIn(rules: VolumeRules, path: RelPath, isDirectory: boolean): boolean {
  const place = rules.placeOf(path, isDirectory)
  return place === 'inside' || place === 'way'
}
