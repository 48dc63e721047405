import type { Finding } from '../domain/finding.ts'
import { severityColour, table } from './output.ts'

/** Checks or findings for people: the worst first, what to do below what is not ok. */
export function findingsTable(findings: readonly Finding[], colours: boolean): string {
  const order = { error: 0, warning: 1, ok: 2 } as const
  const sorted = [...findings].sort((a, b) => order[a.severity] - order[b.severity])
  return table(['', 'CHECK', 'ABOUT', 'FOUND'], sorted.flatMap(f => {
    const colour = severityColour(f.severity)
    const row = [{ text: f.severity, ...(colour === undefined ? {} : { colour }) }, f.code, f.subject, f.message]
    return f.severity === 'ok' || f.advice === '' ? [row] : [row, ['', '', '', `-> ${f.advice}`]]
  }), colours)
}

/** "2 errors, 1 warning, 14 ok" */
export function countFindings(findings: readonly Finding[]): string {
  const count = (severity: Finding['severity']): number => findings.filter(f => f.severity === severity).length
  const plural = (n: number, word: string): string => `${String(n)} ${word}${n === 1 ? '' : 's'}`
  return `${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}, ${String(count('ok'))} ok`
}
