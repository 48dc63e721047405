/** What the replica refused: how often each path was, what is to be looked at again therefore, and what is told. */
import type { Finding } from '../domain/finding.ts'
import { isInLimbo } from '../domain/limbo.ts'
import { parentOf, parseRelPath, type RelPath } from '../domain/rel-path.ts'
import { mayHelpToSendAgain, refusedFinding } from '../tree/refused.ts'
import type { AppliedFailure } from '../wire/messages.ts'

/** After so many refusals in a row a path is reported and looked at again only when it changes. */
const MAX_REFUSALS = 8
/**
 * Attributes that were refused so often are told. Before, they may have been another object's: the name had changed by the time that they
 * arrived, and the next look makes it right.
 */
const TOLD_AT = 4
/** Paths whose refusals are remembered; past it the memory starts afresh, which only costs attempts. */
const MAX_REMEMBERED = 50_000

export interface Refused {
  /** to be looked at again: `path`, which is what is above it where it was refused itself, too */
  again: { volume: number, path: RelPath, from: RelPath, isLink: boolean, attributesOnly: boolean }[]
  /** nobody knows what the replica has there from now on */
  forever: { volume: number, path: RelPath }[]
  findings: Finding[]
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
    // a file of many pieces is refused many times: once is enough, and that of an attribute says less than that of the file
    const ofPaths = failures.toSorted((a, b) => Number(b.partial) - Number(a.partial))
    for (const failure of new Map(ofPaths.map(one => [`${String(one.volume)}/${one.path}/${String(one.operation === 'link')}`, one])).values()) this.#one(failure, refused)
    return refused
  }

  #one(failure: AppliedFailure, { again, forever, findings }: Refused): void {
    const { volume } = failure
    const path = parseRelPath(Buffer.from(failure.path, 'base64'))
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
    again.push({ volume, path: count % 2 === 0 && parentOf(path).length > 0 ? parentOf(path) : path, from: path, isLink: failure.operation === 'link', attributesOnly: false })
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
