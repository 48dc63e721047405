/** The form of a validation rule. */
import type { ReplicaPlan } from '../domain/replica.ts'
import type { PlanInput } from './plan.ts'

/** What a rule looks at. */
export interface RuleInput extends PlanInput { plan: ReplicaPlan }

/** One thing that a rule does not like. */
export interface Problem { subject: string, message: string }

export interface Rule {
  /** stable; the code of the finding */
  code: string
  severity: 'warning' | 'error'
  /** what is said when all is well */
  title: string
  /** what to do when it is not */
  advice: string
  check: (input: RuleInput) => readonly Problem[]
}

/** The problem, when it holds. */
export function when(holds: boolean, subject: string, message: string): readonly Problem[] {
  return holds ? [{ subject, message }] : []
}
