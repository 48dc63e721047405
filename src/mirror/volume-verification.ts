/** What the looks of a verification at one volume share. */
import type { RelPath } from '../domain/rel-path.ts'
import type { VerifyBy } from '../domain/verification.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import { listingEntries, type ListingEntry } from '../wire/listing-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import type { DifferenceSender } from './difference-sender.ts'
import type { VerifyTally } from './verify-tally.ts'

export interface VolumeVerification {
  volume: number
  tree: SourceTree
  stream: OperationStream
  by: VerifyBy
  /** what changed on the source since then is moving */
  startedNs: bigint
  tally: VerifyTally
  sender: DifferenceSender
  /** whether what only the replica has counts */
  isExtra: (directory: RelPath, entry: ListingEntry) => boolean
}

/** Whether the source's directory is there and has not changed since the verification began. */
export async function isUnchanged({ tree, startedNs }: Pick<VolumeVerification, 'tree' | 'startedNs'>, directory: RelPath, signal: AbortSignal): Promise<boolean> {
  const page = await tree.look(directory, signal)
  if (page === undefined) return false
  for (const entry of listingEntries(page)) return entry.ctimeNs < startedNs
  return false
}
