/** What the replica refused: how often each path was, what is to be looked at again therefore, and what is told. */
import type { Finding } from '../domain/finding.ts'
import { isInLimbo } from '../domain/limbo.ts'
import { parentOf, parseRelPath, type RelPath } from '../domain/rel-path.ts'
import { mayHelpToSendAgain, refusedFinding } from '../tree/refused.ts'
import type { AppliedFailure } from '../wire/messages.ts'
import { keyOf } from './path-key.ts'

/** After so many refusals in a row a path is reported and looked at again only when it changes. */
const MAX_REFUSALS = 8
/**
 * Attributes that were refused so often are told. Before, they may have been another object's: the name had changed by the time that they
 * arrived, and the next look makes it right.
 */
const TOLD_AT = 4
/** Paths whose refusals are remembered; past it the memory starts afresh, which only costs attempts. */
const MAX_REMEMBERED = 50_000
/** what the replica says of a path above which it lacks a directory */
const WITHOUT_PLACE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])

export interface Refused {
  /** to be looked at again: `path`, which is what is above it, ever higher, where it was refused itself, too */
  again: { volume: number, path: RelPath, from: RelPath, isLink: boolean, attributesOnly: boolean }[]
  /** nobody knows what the replica has there from now on */
  forever: { volume: number, path: RelPath }[]
  findings: Finding[]
}

/** So many steps above the path, but never the root: what is wrong there may be what refuses it, and waits to be looked at for longer than the path has patience. */
function above(path: RelPath, steps: number): RelPath {
  const parent = parentOf(path)
  return steps === 0 || parent.length === 0 ? path : above(parent, steps - 1)
}

function keyIn(volume: number, path: RelPath): string {
  return `${String(volume)}/${keyOf(path)}`
}

/** Something above the path is sent again, with all that is below it. */
function isBelow(volume: number, path: RelPath, keys: ReadonlySet<string>): boolean {
  for (let at = parentOf(path); at.length > 0; at = parentOf(at)) if (keys.has(keyIn(volume, at))) return true
  return false
}

export class Refusals {
  #counts = new Map<string, number>()
  /** how often what of a path was refused */
  #doubts = new Map<string, number>()

  /** Everything that was sent has been applied. */
  clear(): void {
    this.#counts.clear()
  }

  /** What these failures ask for. */
  see(failures: readonly AppliedFailure[]): Refused {
    const refused: Refused = { again: [], forever: [], findings: [] }
    // a file of many pieces is refused many times: once is enough
    const once = [...new Map(failures.map(one => [`${String(one.volume)}/${one.path}/${String(one.operation === 'link')}`, one])).values()].map(failure => ({ failure, path: parseRelPath(Buffer.from(failure.path, 'base64')) }))
    const sentAgain = new Set(once.filter(({ failure }) => failure.operation !== 'rename' && mayHelpToSendAgain(failure)).map(({ failure, path }) => keyIn(failure.volume, path)))
    for (const { failure, path } of once) if (!WITHOUT_PLACE.has(failure.errno) || !isBelow(failure.volume, path, sentAgain)) this.#one(failure, path, refused)
    return refused
  }

  #one(failure: AppliedFailure, path: RelPath, { again, forever, findings }: Refused): void {
    const { volume } = failure
    // the metadata that follows a move is refused, too, and has the object sent
    if (failure.operation === 'rename' || isInLimbo(path)) return
    if (!mayHelpToSendAgain(failure)) {
      const count = this.#doubt(failure)
      if (!failure.partial) forever.push({ volume, path })
      else if (count < TOLD_AT) again.push({ volume, path, from: path, isLink: false, attributesOnly: true })
      if (count === (failure.partial ? TOLD_AT : 1)) findings.push(refusedFinding(failure))
      return
    }
    if (this.#counts.size > MAX_REMEMBERED) this.#counts = new Map()
    const key = `${String(volume)}/${failure.path}`
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    if (count === MAX_REFUSALS) findings.push(refusedFinding(failure))
    if (count >= MAX_REFUSALS) {
      forever.push({ volume, path })
      return
    }
    again.push({ volume, path: count % 2 === 0 ? above(path, 2 ** (count / 2 - 1)) : path, from: path, isLink: failure.operation === 'link', attributesOnly: false })
  }

  /** How often that of the object has been refused by now: what stays refused is told once. */
  #doubt(failure: AppliedFailure): number {
    const key = `${String(failure.volume)}/${failure.path}/${failure.what}`
    if (this.#doubts.size > MAX_REMEMBERED) this.#doubts = new Map()
    const count = (this.#doubts.get(key) ?? 0) + 1
    this.#doubts.set(key, count)
    return count
  }
}
