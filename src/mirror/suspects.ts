/** Names that looked different at first sight, by directory, until they are looked at again. Bounded by whoever empties it in time. */
import { nameOf, parentOf, type RelPath } from '../domain/rel-path.ts'

export interface Suspect {
  /** another name with which it shared its object on one side only */
  broken?: RelPath
  /** the source lacked it before anything in its directory could have changed since the verification began */
  certain?: boolean
  /** a directory on both sides, and what is in it is being compared */
  walked?: boolean
}

export interface SuspectDirectory { path: RelPath, names: Map<string, Suspect> }

/** What a name costs besides its bytes, roughly. */
const NAME_COST_BYTES = 150
const DIRECTORY_COST_BYTES = 300

export class Suspects {
  #directories = new Map<string, SuspectDirectory>()
  #bytes = 0

  get bytes(): number { return this.#bytes }

  add(path: RelPath, suspect: Suspect): void {
    const parent = parentOf(path)
    const key = parent.toString('latin1')
    let directory = this.#directories.get(key)
    if (directory === undefined) {
      directory = { path: Buffer.from(parent) as RelPath, names: new Map() }
      this.#directories.set(key, directory)
      this.#bytes += key.length + DIRECTORY_COST_BYTES
    }
    const name = nameOf(path).toString('latin1')
    directory.names.set(name, { ...directory.names.get(name), ...suspect })
    this.#bytes += name.length + (suspect.broken?.length ?? 0) + NAME_COST_BYTES
  }

  /** Gives all away. */
  take(): SuspectDirectory[] {
    const all = [...this.#directories.values()]
    this.#directories = new Map()
    this.#bytes = 0
    return all
  }
}
