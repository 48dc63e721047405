/** What a source tree says of an entry that it could not read. */
import type { Finding } from '../domain/finding.ts'
import { display, type RelPath } from '../domain/rel-path.ts'
import type { DataRange } from './source-tree.ts'

const CAUSES = new Map<string, Pick<Finding, 'code' | 'severity' | 'message' | 'advice'>>([
  ['ENOENT', { code: 'FILE_VANISHED', severity: 'warning', message: 'It was removed or replaced while it was read.', advice: 'Nothing: its removal is carried over like any other change.' }],
  ['EXDEV', { code: 'FILE_UNSUPPORTED', severity: 'warning', message: 'It is a mount point of another file system.', advice: 'Mirror that file system as a volume of its own if it is needed.' }],
  ['EFBIG', { code: 'FILE_UNSUPPORTED', severity: 'error', message: 'The file claims a size of 2^53 bytes or more.', advice: 'Make the file smaller or leave it out.' }],
  ['E2BIG', { code: 'ATTRIBUTE_REFUSED', severity: 'warning', message: 'Its extended attributes are together over 1 MiB and the last ones by name were left out, or their names are over 64 KiB and all were; everything else was copied.', advice: 'Remove attributes if the others are needed.' }],
  ['EINVAL', { code: 'FILE_UNSUPPORTED', severity: 'warning', message: 'It is of a type that Linux file systems do not share.', advice: 'Leave it out.' }],
])

/** The finding for an entry that gave this errno; `range` when only that part of its data could not be read. */
export function unreadFinding(path: RelPath, errno: string, range?: DataRange): Finding {
  const subject = display(path)
  const known = range === undefined ? CAUSES.get(errno === 'ENOTDIR' || errno === 'ELOOP' || errno === 'ESTALE' ? 'ENOENT' : errno) : undefined
  if (known !== undefined) return { ...known, subject }
  const what = range === undefined ? 'It could not be read' : `${String(range.lengthBytes)} bytes at offset ${String(range.offset)} could not be read and are zeros on the replica`
  return { code: 'FILE_UNREADABLE', severity: 'error', subject, message: `${what} (${errno}).`, advice: 'Check the disk of the source; restore the file from a backup if the data are lost.' }
}
