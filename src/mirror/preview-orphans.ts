/** Finds the orphans of a volume as a mirror would, and changes nothing. */
import { childPath, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import { joinListings } from './compare.ts'
import { GroupListings } from './group-listings.ts'
import type { Orphans } from './orphans.ts'
import type { Tally } from './tally.ts'

/** Directories whose listings are asked for at once. */
const GROUP_DIRECTORIES = 64

export interface PreviewedVolume { volume: number, tree: SourceTree, stream: OperationStream, orphans: Orphans, tally: Tally }

/** @throws {AppError} LINK_LOST */
export async function previewOrphans({ volume, tree, stream, orphans, tally }: PreviewedVolume, signal: AbortSignal): Promise<void> {
  const walk = orphans.walk(async () => undefined)
  const pending: RelPath[] = [ROOT_PATH]
  while (pending.length > 0) {
    const group = pending.splice(-GROUP_DIRECTORIES)
    const theirs = new GroupListings(stream.list(volume, group, signal))
    const ours = new GroupListings(tree.listAll(group, signal))
    for (const directory of group) {
      const leavesAlone = walk.leavesAlone(directory)
      for await (const pairs of joinListings(ours.next(), theirs.next())) {
        for (const { source, target } of pairs) {
          if (source !== undefined) tally.found(source)
          if (target === undefined) continue
          const path = childPath(directory, target.name)
          if (path === undefined) continue
          if (source === undefined || leavesAlone(target)) await walk.entry(directory, target, signal)
          else if (target.type !== 'directory') continue
          else if (source.type === 'directory') pending.push(path)
          else await walk.replaced(path, signal)
        }
        tally.tell()
      }
    }
  }
}
