/** What the replica refused while a round of the mirror walked: what is worth another round, and what is told as it is. */
import type { Finding } from '../domain/finding.ts'
import { mayHelpToSendAgain, refusedFinding } from '../tree/refused.ts'
import type { AppliedFailure } from '../wire/messages.ts'

/** Failures that are remembered; a replica that refuses more of them refuses everything, and the rest is counted. */
const MAX_REMEMBERED = 50_000
/** Objects told about lately: a directory or a large file is settled twice. */
const MAX_TOLD = 20_000

/** What one round met. */
export class Refusals {
  readonly #again = new Map<string, AppliedFailure>()
  readonly #final = new Map<string, AppliedFailure>()
  readonly #told = new Set<string>()
  readonly #wanted: ReadonlySet<string> | undefined
  #more = 0

  /** @param wanted keys of the objects whose failures are news; left out: all */
  constructor(wanted?: ReadonlySet<string>) {
    this.#wanted = wanted
  }

  /** Takes failures; gives the findings about attributes that the replica does not hold. */
  add(failures: readonly AppliedFailure[]): Finding[] {
    const findings: Finding[] = []
    for (const failure of failures) {
      const key = keyOfFailure(failure)
      if (failure.partial) {
        if (this.#told.has(key) || this.#wanted?.has(key) === false) continue
        if (this.#told.size >= MAX_TOLD) this.#told.clear()
        this.#told.add(key)
        findings.push(refusedFinding(failure))
      } else if (!mayHelpToSendAgain(failure)) {
        // what else was refused of the object follows from that
        this.#keep(this.#final, key, failure)
        this.#again.delete(key)
      } else if (!this.#final.has(key)) {
        this.#keep(this.#again, key, failure)
      }
    }
    return findings
  }

  /** What a further round may mend, by key. */
  get again(): ReadonlyMap<string, AppliedFailure> {
    return this.#again
  }

  /** Takes out those that a further round need not mend, because somebody else does. */
  handOver(isOthers: (failure: AppliedFailure) => boolean): readonly AppliedFailure[] {
    const others = [...this.#again.values()].filter(isOthers)
    for (const failure of others) this.#again.delete(keyOfFailure(failure))
    return others
  }

  /** What no further round can mend, as far as it is news. */
  finalFindings(): Finding[] {
    return [...this.#final].filter(([key]) => this.#wanted?.has(key) !== false).map(([, failure]) => refusedFinding(failure))
  }

  /** What was not mended. */
  remainingFindings(): Finding[] {
    const findings = [...this.#again.values()].map(refusedFinding)
    if (this.#more > 0) {
      findings.push({
        code: 'REPLICA_REFUSED', severity: 'error', subject: 'replica', message: `${String(this.#more)} more operations failed on the replica.`,
        advice: 'Correct what the other findings name, then mirror again.',
      })
    }
    return findings
  }

  #keep(failures: Map<string, AppliedFailure>, key: string, failure: AppliedFailure): void {
    if (failures.has(key) || failures.size < MAX_REMEMBERED) failures.set(key, failure)
    else this.#more++
  }
}

/** The object that an operation was about, as a key. */
export function keyOfFailure(failure: Pick<AppliedFailure, 'volume' | 'path'>): string {
  return `${String(failure.volume)}/${failure.path}`
}
