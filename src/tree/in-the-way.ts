/** The finding about a name of the source that the replica cannot take, because of what the rules leave alone there. */
import type { Finding } from '../domain/finding.ts'
import { display, type RelPath } from '../domain/rel-path.ts'

export function inTheWay(path: RelPath): Finding {
  return {
    code: 'EXCLUDED_IN_THE_WAY', severity: 'error', subject: display(path),
    message: `${display(path)} was not copied: on the replica, what the rules leave alone stands in its place.`,
    advice: 'Move away what the replica has there, or change the rules.',
  }
}
