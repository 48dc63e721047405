/**
 * Where the capture of changes has become less precise or has missed something. It is never untrue because of it: what is said here is what
 * is being looked at again, or is looked at more coarsely than it could be, and people see it while it lasts.
 */
import { z } from 'zod'

export const DegradationKind = z.enum([
  // no agent saw the changes of a while
  'agent-stopped', 'agent-crashed', 'source-rebooted',
  // something was missed while it ran
  'events-lost', 'trace-lost', 'watch-missed', 'clock-set-back', 'clock-set-forward', 'mount-changed', 'volume-new', 'volume-replaced', 'volume-rolled-back',
  // too many changes wait
  'queue-on-disk', 'queue-disk-half', 'ranges-coarse', 'files-whole', 'queue-full', 'queue-lost',
])
export type DegradationKind = z.infer<typeof DegradationKind>

/** The last moment that a date can tell. */
const MAX_TIME_MS = 8.64e15

export const Degradation = z.object({
  kind: DegradationKind,
  /** index of the volume on the wire; left out: all volumes, or none in particular */
  volume: z.number().int().min(0).max(65535).optional(),
  /** what it is about, for people: a mount point */
  subject: z.string().max(4096).optional(),
  /** since when it is so, milliseconds since the epoch */
  sinceMs: z.number().min(0).max(MAX_TIME_MS),
})
export type Degradation = z.infer<typeof Degradation>

/** As many as one report carries: a kind comes once for each volume. */
export const MAX_DEGRADATIONS = 256

interface Words { what: string, repair: string }

const WORDS: Record<DegradationKind, Words> = {
  'agent-stopped': { what: 'the agent did not run for a while', repair: 'what changed meanwhile is looked for' },
  'agent-crashed': { what: 'the agent or the source ended without warning', repair: 'a mirror of what changed since is required and under way' },
  'source-rebooted': { what: 'the source was started anew, and no agent saw its last changes', repair: 'a mirror of what changed since is required and under way' },
  'events-lost': { what: 'the kernel had more events than it could keep', repair: 'the volume is compared by names and attributes' },
  'trace-lost': { what: 'the kernel had more written ranges than it could keep', repair: 'what changed since is compared by checksum' },
  'watch-missed': { what: 'a directory could not be watched', repair: 'it is looked at again and again' },
  'clock-set-back': { what: 'the clock of the source was set back', repair: 'what changed since, by both times, is looked at again' },
  'clock-set-forward': { what: 'the clock of the source was set forward', repair: 'nothing is lost by it' },
  'mount-changed': { what: 'something was mounted on, or unmounted from, a directory of the source', repair: 'that directory is looked at again' },
  'volume-new': { what: 'the source has a volume that no job carries', repair: 'edit the job to carry it' },
  'volume-replaced': { what: 'another file system is mounted where a volume of the job was', repair: 'everything is compared' },
  'volume-rolled-back': { what: 'a volume was set back to an earlier state', repair: 'everything is compared' },
  'queue-on-disk': { what: 'more changes wait than memory may hold', repair: 'the rest waits on the disk of the source' },
  'queue-disk-half': { what: 'half of the disk that waiting changes may use is used', repair: 'give the queue more room, or the connection more bandwidth' },
  'ranges-coarse': { what: 'too many ranges of files wait', repair: 'longer ranges are compared' },
  'files-whole': { what: 'too many ranges of files wait', repair: 'whole files are compared' },
  'queue-full': { what: 'too many changes wait to keep each', repair: 'the volume is compared by names, attributes and change times' },
  'queue-lost': { what: 'changes that waited on the disk of the source cannot be read', repair: 'the volume is compared by names, attributes and change times' },
}

/** In words: what is the matter, and what becomes of it. Pure. */
export function describeDegradation({ kind }: Degradation): string {
  const { what, repair } = WORDS[kind]
  return `${what}; ${repair}`
}

/** Whether nobody can tell what changed at the end of an agent before this one. Pure. */
export function isUnseenEnd(kind: DegradationKind): boolean {
  return kind === 'agent-crashed' || kind === 'source-rebooted'
}

/** Whether the replica must not be believed to follow the source until this is over. Pure. */
export function isMirrorRequired(degraded: readonly Degradation[]): boolean {
  return degraded.some(({ kind }) => isUnseenEnd(kind) || kind === 'volume-rolled-back')
}
