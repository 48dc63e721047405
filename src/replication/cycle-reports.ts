/** Tells of the figures and findings of cycles: findings at once, figures alone at a pace. */
import type { Cycles } from './cycles.ts'
import type { ReplicatorOptions } from './replicator-options.ts'

const REPORT_MS = 500

export class CycleReports {
  readonly #cycles: Pick<Cycles, 'progress' | 'takeFindings'>
  readonly #options: Pick<ReplicatorOptions, 'report' | 'clock'>
  #reportedAtMs = 0

  constructor(cycles: Pick<Cycles, 'progress' | 'takeFindings'>, options: Pick<ReplicatorOptions, 'report' | 'clock'>) {
    this.#cycles = cycles
    this.#options = options
  }

  /** `always`: also when nothing is new. */
  report(always = false): void {
    const { clock, report } = this.#options
    const now = clock.now()
    const findings = this.#cycles.takeFindings()
    if (!always && findings.length === 0 && now < this.#reportedAtMs + REPORT_MS) return
    this.#reportedAtMs = now
    report(this.#cycles.progress(), findings)
  }
}
