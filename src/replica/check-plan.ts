/** The validation of a job: every rule of `rules.ts` asked, its answer turned into findings. Pure. */
import type { Finding } from '../domain/finding.ts'
import type { RuleInput } from './rule.ts'
import { RULES } from './rules.ts'

/** At least one finding per rule, in the order of the table: `ok` with the rule's title, or one per problem. What the source itself found comes last. */
export function checkPlan(input: RuleInput): Finding[] {
  return [...RULES.flatMap((rule): Finding[] => {
    const problems = rule.check(input)
    return problems.length === 0
      ? [{ code: rule.code, severity: 'ok', subject: '', message: rule.title, advice: '' }]
      : problems.map(p => ({ code: rule.code, severity: rule.severity, subject: p.subject, message: p.message, advice: rule.advice }))
  }), ...input.workload.findings]
}
