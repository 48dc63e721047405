/**
 * Where random tests begin. `SEED=N` repeats what has failed; CI takes it from the state of the code, so that the same state is tried with the same
 * cases wherever it is, and each other one with new ones.
 */
import { randomInt } from 'node:crypto'

export const SEED = Number(process.env['SEED'] ?? randomInt(2 ** 31))

export interface PropertyRuns { numRuns: number, seed: number, path?: string }

/** How fast-check runs a property: so often (`FC_RUNS=N`: that often), from SEED, or only the case at `FC_PATH`, which it printed for one that failed. */
export function propertyRuns(numRuns = 100, seed = SEED): PropertyRuns {
  const { FC_RUNS, FC_PATH } = process.env
  return { numRuns: Number(FC_RUNS ?? numRuns), seed, ...FC_PATH === undefined ? {} : { path: FC_PATH } }
}
