/** What is said of an operation, or a part of it, that the replica refused. */
import { display } from '../domain/rel-path.ts'
import type { Finding } from '../domain/finding.ts'
import type { AppliedFailure } from '../wire/messages.ts'

/** What the addon calls it when a directory should be a subvolume and cannot. */
const SUBVOLUME = 'btrfs subvolume'

/** Errnos that another attempt gives again: the file system of the replica cannot hold it. */
const FOREVER: ReadonlySet<string> = new Set(['ENAMETOOLONG', 'EINVAL', 'EFBIG', 'EOPNOTSUPP', 'E2BIG', 'EOVERFLOW', 'ERANGE'])

/** Whether it may help to look at the object again and send what it is then. */
export function mayHelpToSendAgain(failure: AppliedFailure): boolean {
  return !failure.partial && !FOREVER.has(failure.errno)
}

/** The finding about a failure that stays. */
export function refusedFinding(failure: AppliedFailure): Finding {
  const subject = display(Buffer.from(failure.path, 'base64'))
  if (failure.partial && failure.what === SUBVOLUME) {
    return {
      code: 'SUBVOLUME_AS_DIRECTORY', severity: 'warning', subject,
      message: `${subject}: the file system of the replica has no subvolumes; this one became a directory with all it holds.`,
      advice: 'Use btrfs for the replica if the subvolume is needed as such; else nothing.',
    }
  }
  if (failure.partial) {
    return {
      code: 'ATTRIBUTE_REFUSED', severity: 'warning', subject,
      message: `${subject}: the file system of the replica does not take ${failure.what} (${failure.errno}); everything else of it was copied.`,
      advice: 'Use the file system of the source for the replica if this is needed; else nothing.',
    }
  }
  const why = failure.what === '' ? failure.errno : `${failure.what}, ${failure.errno}`
  return {
    code: 'REPLICA_REFUSED', severity: 'error', subject, message: `${subject}: "${failure.operation}" failed on the replica (${why}).`,
    advice: 'Check whether the file system of the replica can hold what the source has here; the rest was copied.',
  }
}
