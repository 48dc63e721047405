/** The mirror between two directories in this process: the real walk and the real trees, without a wire. */
import { systemClock } from '../../src/clock/clock.ts'
import type { Finding } from '../../src/domain/finding.ts'
import type { MirrorProgress } from '../../src/domain/progress.ts'
import { mirrorVolumes } from '../../src/mirror/mirrorer.ts'
import { openPosixSourceTree } from '../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../src/tree/posix-target-tree.ts'
import type { MirrorRequest } from '../../src/wire/messages.ts'
import { TreeStream } from '../tree-stream.ts'

export interface MirrorOutcome extends MirrorProgress { all: Finding[] }

/** Mirrors, deleting orphans, and flushes. `all` are the findings. */
export async function mirrorBetween(source: string | Buffer, replica: string | Buffer, request: Partial<MirrorRequest> = {}): Promise<MirrorOutcome> {
  const signal = AbortSignal.timeout(120_000)
  await using from = await openPosixSourceTree(source, signal)
  await using to = await openPosixTargetTree(replica, signal)
  const all: Finding[] = []
  const progress = await mirrorVolumes({
    volumes: new Map([[0, from]]), stream: new TreeStream(new Map([[0, to]])), request: { compare: 'attributes', orphans: 'delete', ...request },
    report: (_, findings) => { all.push(...findings) }, clock: systemClock,
  }, signal)
  await to.flush(signal)
  return { ...progress, all }
}

/** Findings in short: code and subject, sorted. */
export function inShort(findings: readonly Finding[]): string[] {
  return findings.map(({ code, subject }) => `${code} ${subject}`).sort()
}
