/** The findings a job shows: each once, the first thousand or the first mebibyte. */
import type { Finding } from '../domain/finding.ts'

const MAX_FINDINGS = 1000
/** in characters: the record of a job is written and sent as a whole */
const MAX_TEXT = 1024 * 1024

export class CollectedFindings {
  readonly #findings: Finding[]
  readonly #known: Set<string>
  #text: number

  constructor(findings: readonly Finding[]) {
    this.#findings = [...findings]
    this.#known = new Set(findings.map(keyOf))
    this.#text = findings.reduce((sum, finding) => sum + textOf(finding), 0)
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
      if (this.#text + textOf(finding) > MAX_TEXT) continue
      this.#text += textOf(finding)
      this.#known.add(key)
      this.#findings.push(finding)
    }
    return this.#findings.length > before
  }
}

const keyOf = (finding: Finding): string => JSON.stringify([finding.code, finding.subject, finding.message])
const textOf = ({ code, subject, message, advice }: Finding): number => code.length + subject.length + message.length + advice.length
