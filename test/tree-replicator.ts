/** A replicator as tests run it: from a source tree through a stream without a wire, by the system's clock. */
import type { ChangeSource } from '../src/capture/change-source.ts'
import { systemClock } from '../src/clock/clock.ts'
import { createReplicator, type Replicator } from '../src/replication/replicator.ts'
import type { SourceTree } from '../src/tree/source-tree.ts'
import type { OperationStream } from '../src/wire/operation-stream.ts'

export interface TreeReplicator {
  replicator: Replicator
  /** all that it has reported, a line each */
  findings: string[]
  /** Replicates until what this gives is called, which may be twice; that resolves when nothing is under way any more. */
  begin: () => () => Promise<void>
}

export function treeReplicator(from: SourceTree, changes: ChangeSource, stream: OperationStream, volume = 0): TreeReplicator {
  const findings: string[] = []
  const replicator = createReplicator({
    volumes: new Map([[volume, from]]), changes, stream, clock: systemClock,
    report: (_, found) => findings.push(...found.map(({ code, subject, message }) => `${code} ${subject} ${message}`)),
  })
  const begin = (): () => Promise<void> => {
    const over = new AbortController()
    const running = replicator.run(over.signal)
    return async () => {
      over.abort()
      await running
    }
  }
  return { replicator, findings, begin }
}
