/**
 * Twin of the addon's origins.rs and moves.rs, for scripted sources: events about names in, and what has left a name that it had at the
 * last taking out. Objects are numbers; a directory is one, too.
 */
import { joinRelPath, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import type { Move } from './change-source.ts'

export interface DirectoryName { directory: bigint, name: Buffer }

/** What the kernel tells of names. `moved` is one event for both names, as FAN_RENAME is. */
export type NameEvent =
  | { kind: 'arrived' | 'removed', volume: number, object: bigint, isDirectory: boolean, at: DirectoryName }
  | { kind: 'moved', volume: number, object: bigint, isDirectory: boolean, from: DirectoryName, to: DirectoryName }

/** Where a directory is now: the root of the volume, or below another one. */
export type DirectoryPlace = 'root' | DirectoryName

export interface Living {
  /** of the directory, undefined when it is gone */
  placeOf: (volume: number, directory: bigint) => DirectoryPlace | undefined
  /** how many names the object has; 0: it is gone */
  linkCountOf: (volume: number, object: bigint) => number
}

interface Whereabouts { volume: number, object: bigint, isDirectory: boolean, origin: DirectoryName | undefined, early: boolean, arrived: Set<string> }

function keyOf({ directory, name }: DirectoryName): string {
  return `${String(directory)}/${name.toString('latin1')}`
}

/** Names (volume, directory, name) and objects (volume, inode) that marks were about. */
export interface MarkedObjects { names: ReadonlySet<string>, objects: ReadonlySet<string> }

/** The events of one period. */
export class MemoryOrigins {
  readonly #objects = new Map<string, Whereabouts>()
  readonly #lost: boolean
  #early = true

  /** @param lost events of the period are missing: nothing is said to have moved in it */
  constructor(lost = false) {
    this.#lost = lost
  }

  looksEnded(): void {
    this.#early = false
  }

  add(event: NameEvent): void {
    if (event.kind === 'moved') {
      this.#departed(event, event.from)
      this.#arrived(event, event.to)
    } else if (event.kind === 'arrived') this.#arrived(event, event.at)
    else if (event.isDirectory || this.#objects.has(idOf(event))) this.#departed(event, event.at)
  }

  /** `marked`: of the directory, the name in it, or the object itself, whether the period before had a mark; undefined when it is not known. */
  moves(living: Living, marked: MarkedObjects | undefined): Move[] {
    const moves: Move[] = []
    if (this.#lost) return moves
    const lookedAt = marked === undefined ? undefined : this.#nearestLeft(marked.objects, living)
    for (const [id, { volume, object, isDirectory, origin, early }] of this.#objects) {
      const linkCount = living.linkCountOf(volume, object)
      if (origin === undefined || linkCount === 0) continue
      const then = this.#then(volume, origin, living)
      if (then === undefined) continue
      const isEarly = early || then.early
      if (isEarly && (marked === undefined || lookedAt?.has(id) === true || marked.names.has(`${String(volume)}:${keyOf(origin)}`))) continue
      moves.push({ volume, from: then.path, inode: object, linkCount: isDirectory ? 1 : linkCount, isDirectory, early: isEarly })
    }
    return moves
  }

  #arrived(event: NameEvent, at: DirectoryName): void {
    const known = this.#objects.get(idOf(event))
    if (known !== undefined) known.arrived.add(keyOf(at))
    else this.#objects.set(idOf(event), { ...event, origin: undefined, early: false, arrived: new Set([keyOf(at)]) })
  }

  #departed(event: NameEvent, from: DirectoryName): void {
    const known = this.#objects.get(idOf(event))
    if (known === undefined) this.#objects.set(idOf(event), { ...event, origin: from, early: this.#early, arrived: new Set() })
    else if (known.arrived.delete(keyOf(from))) {
      if (known.arrived.size === 0 && known.origin === undefined) this.#objects.delete(idOf(event))
    } else if (known.origin === undefined) {
      known.origin = from
      known.early = this.#early
    }
  }

  #then(volume: number, origin: DirectoryName, living: Living): { path: RelPath, early: boolean } | undefined {
    const steps = [origin.name]
    let early = false
    for (let at = origin.directory; ;) {
      const left = this.#objects.get(`${String(volume)}:${String(at)}`)
      early ||= left?.early ?? false
      const next = left === undefined ? living.placeOf(volume, at) : left.origin
      if (next === undefined) return undefined
      if (next === 'root') break
      steps.push(next.name)
      at = next.directory
    }
    return { path: steps.reverse().reduce<RelPath>((path, name) => joinRelPath(path, name), ROOT_PATH), early }
  }

  #nearestLeft(marked: ReadonlySet<string>, living: Living): ReadonlySet<string> {
    const found = new Set(marked)
    for (const id of marked) {
      const [volume = '0', object = '0'] = id.split(':')
      for (let at: bigint | undefined = BigInt(object); at !== undefined;) {
        if (this.#objects.has(`${volume}:${String(at)}`)) {
          found.add(`${volume}:${String(at)}`)
          break
        }
        const place = living.placeOf(Number(volume), at)
        at = place === undefined || place === 'root' ? undefined : place.directory
      }
    }
    return found
  }
}

function idOf({ volume, object }: NameEvent): string {
  return `${String(volume)}:${String(object)}`
}
