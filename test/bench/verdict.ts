/** What was measured against what is wanted, and how a bench ends because of it. */

/** One thing that was measured; `most` or `least`: what is wanted. */
export interface Figure { what: string, value: number, unit: string, most?: number, least?: number }

export const DIFFERENCES = 'differences'
const NOT_MET = 7

/** What was not measured is not met. */
export function isMet({ value, most = Infinity, least = -Infinity }: Figure): boolean {
  return value <= most && value >= least
}

/** Not 0 when a replica differed or, strictly, when anything is not as it is wanted. */
export function exitCodeOf(figures: readonly Figure[], strict: boolean): number {
  return figures.some(figure => !isMet(figure) && (strict || figure.what === DIFFERENCES)) ? NOT_MET : 0
}
