import { describePlan } from '../domain/describe-plan.ts'
import type { ReplicaPlan } from '../domain/replica.ts'
import { clean } from './output.ts'

/** What will be made, as text for a terminal. */
export function planText(plan: ReplicaPlan): string {
  return `Replica ${clean(plan.vmName)}:\n${describePlan(plan).map(line => `  ${clean(line)}\n`).join('')}`
}
