/** The order in which changes can be looked at part by part. Pure. */
import type { Change } from './change-source.ts'

/** Names in the order of their paths, so that a directory comes before what is in it; then objects without a name; rescans last. */
export function inOrder(changes: readonly Change[]): Change[] {
  return [...changes].sort((a, b) => rank(a) - rank(b) || ('path' in a && 'path' in b ? a.path.compare(b.path) : 0))
}

function rank(change: Change): number {
  return change.kind === 'rescan' ? 2 : change.kind === 'object' ? 1 : 0
}
