/** The validation of a job: every rule of `rules.ts` asked, its answer turned into findings. Pure. */
import type { Finding } from '../domain/finding.ts'
import { PLAN_DIFFERENCES } from '../domain/plan-difference.ts'
import type { ReplicaPlan } from '../domain/replica.ts'
import type { RuleInput } from './rule.ts'
import { RULES } from './rules.ts'

/** At least one finding per rule, in the order of the table: `ok` with the rule's title, or one per problem. What the source itself found comes last. */
export function checkPlan(input: RuleInput): Finding[] {
  return [...RULES.flatMap((rule): Finding[] => {
    const problems = rule.check(input)
    return problems.length === 0
      ? [{ code: rule.code, severity: 'ok', subject: '', message: rule.title, advice: '' }]
      : problems.map(p => ({ code: rule.code, severity: rule.severity, subject: p.subject, message: p.message, advice: rule.advice }))
  }), ...losses(input.plan), ...input.workload.findings]
}

/** What the replica will not have and somebody should think about. */
function losses({ differences }: ReplicaPlan): Finding[] {
  return differences.flatMap(({ code, subject, message }): Finding[] => {
    const advice: string = PLAN_DIFFERENCES[code]
    return advice === '' ? [] : [{ code, severity: 'warning', subject, message, advice }]
  })
}
