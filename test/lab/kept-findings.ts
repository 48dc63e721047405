import type { Finding } from '../../src/domain/finding.ts'

/** The first findings of a run, and how many there were: what is kept has a limit, what is counted has none. */
export class KeptFindings {
  readonly #limit: number
  #kept: Finding[] = []
  #seen = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  add(more: readonly Finding[]): void {
    this.#seen += more.length
    this.#kept.push(...more.slice(0, this.#limit - this.#kept.length))
  }

  /** Those since the last time. `counted`: by the source, which does not send all when they are very many. */
  take(counted = 0): { findings: Finding[], findingsTotal: number } {
    const taken = { findings: this.#kept, findingsTotal: Math.max(this.#seen, counted) }
    this.#kept = []
    this.#seen = 0
    return taken
  }
}
