/**
 * Reports of a source, handed on no faster than anybody needs them: what comes between is joined, the newest figures with all findings. What
 * a report sets off (a job's record, everybody who watches it) costs more than sending it.
 */
import type { Clock } from '../clock/clock.ts'
import type { Finding } from '../domain/finding.ts'

const PACE_MS = 100
/** with so many findings waiting a report is handed on at once */
const MAX_WAITING = 1000

export class PacedReports<Progress> {
  readonly #report: (progress: Progress, findings: readonly Finding[]) => void
  readonly #clock: Clock
  readonly #stop = new AbortController()
  #latest: Progress | undefined
  #findings: Finding[] = []
  #pause: Promise<void> | undefined

  constructor(report: (progress: Progress, findings: readonly Finding[]) => void, clock: Clock) {
    this.#report = report
    this.#clock = clock
  }

  take(progress: Progress, findings: readonly Finding[]): void {
    this.#latest = progress
    for (const finding of findings) this.#findings.push(finding)
    if (this.#pause === undefined || this.#findings.length > MAX_WAITING) this.#handOn()
    if (this.#pause !== undefined) return
    this.#pause = this.#pace()
    this.#pause.catch(() => undefined) // thrown again by finish
  }

  /** Hands on what waits; nothing is reported behind it. Rethrows what a report has thrown. */
  async finish(): Promise<void> {
    this.#stop.abort()
    await this.#pause
    this.#handOn()
  }

  #handOn(): void {
    if (this.#latest === undefined) return
    const [progress, findings] = [this.#latest, this.#findings]
    this.#latest = undefined
    this.#findings = []
    this.#report(progress, findings)
  }

  async #pace(): Promise<void> {
    while (await this.#slept()) {
      if (this.#latest === undefined) {
        this.#pause = undefined
        return
      }
      this.#handOn()
    }
  }

  /** @returns false when it was stopped meanwhile */
  async #slept(): Promise<boolean> {
    try {
      await this.#clock.sleep(PACE_MS, this.#stop.signal)
      return true
    } catch (error) {
      if (this.#stop.signal.aborted) return false
      throw error
    }
  }
}

/** Work whose reports are handed on at a pace, the last of them before it settles. */
export async function paced<Progress, T>(report: (progress: Progress, findings: readonly Finding[]) => void, clock: Clock, work: (reports: PacedReports<Progress>) => Promise<T>): Promise<T> {
  const reports = new PacedReports(report, clock)
  try {
    return await work(reports)
  } finally {
    await reports.finish()
  }
}
