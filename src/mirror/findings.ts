/** What a mirror tells about the source's files. */
import type { Finding } from '../domain/finding.ts'
import { display, PATH_MAX_BYTES, type RelPath } from '../domain/rel-path.ts'

export function vanished(path: RelPath): Finding {
  return {
    code: 'FILE_VANISHED', severity: 'ok', subject: display(path), message: `${display(path)} was removed or replaced while it was read.`,
    advice: 'Nothing to do: replication brings the change.',
  }
}

export function unreadable(path: RelPath, message: string): Finding {
  return { code: 'FILE_UNREADABLE', severity: 'error', subject: display(path), message, advice: 'Check the permissions and the disk of the source.' }
}

export function tooLongBelow(directory: RelPath, count: number): Finding {
  return {
    code: 'PATH_TOO_LONG', severity: 'error', subject: display(directory),
    message: `${String(count)} entries of this directory have paths of more than ${String(PATH_MAX_BYTES)} bytes below the volume; they and what is below them were not copied.`,
    advice: 'Move them nearer to the root of the volume, or give the directories above them shorter names.',
  }
}

/** `path`: a name that is ours (domain/limbo.ts), which the source has. */
export function reservedName(path: RelPath): Finding {
  return {
    code: 'FILE_UNSUPPORTED', severity: 'warning', subject: display(path), message: 'The name is kept for replication: what has it on the source was not copied, nor what is below it.',
    advice: 'Remove it if an earlier replication left it behind; give it another name if it is needed.',
  }
}
