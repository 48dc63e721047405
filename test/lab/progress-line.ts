/** How far a mirror or a verification is, in one line for people. */
import { mirrorShare, percent, remaining } from '../../src/domain/progress.ts'
import type { ProgressEvent } from './transfer.ts'

export function progressLine(event: ProgressEvent): string {
  if (event.event === 'verifying') {
    const { filesFound, filesCompared, bytesFound, bytesCompared, differences, moving, walked } = event.progress
    return `verifying: ${String(filesCompared)} of ${String(filesFound)}${walked ? '' : '+'} files, ${String(bytesCompared)} of ${String(bytesFound)} bytes compared, ${String(differences)} differences, ${String(moving)} moving`
  }
  const { progress } = event
  const left = remaining(progress)
  return `${percent(mirrorShare(progress))}: found ${String(progress.filesFound)}${progress.walked ? '' : '+'} files, ${String(progress.bytesFound)} bytes; done ${String(progress.filesDone)}, ${String(progress.bytesDone)}; skipped ${String(progress.filesSkipped)}, ${String(progress.bytesSkipped)}; remaining ${String(left.files)}, ${String(left.bytes)}`
}
