/** The findings a job shows: each once, the first thousand. */
import type { Finding } from '../domain/finding.ts'

const MAX_FINDINGS = 1000

export class CollectedFindings {
  readonly #findings: Finding[]
  readonly #known: Set<string>

  constructor(findings: readonly Finding[]) {
    this.#findings = [...findings]
    this.#known = new Set(findings.map(keyOf))
  }

  get all(): Finding[] {
    return [...this.#findings]
  }

  /** @returns whether any was new and kept */
  add(findings: readonly Finding[]): boolean {
    const before = this.#findings.length
    for (const finding of findings) {
      if (this.#findings.length >= MAX_FINDINGS) break
      const key = keyOf(finding)
      if (this.#known.has(key)) continue
      this.#known.add(key)
      this.#findings.push(finding)
    }
    return this.#findings.length > before
  }
}

const keyOf = (finding: Finding): string => JSON.stringify([finding.code, finding.subject, finding.message])
