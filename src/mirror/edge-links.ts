/**
 * Objects of the replica that have names inside the rules and names outside, from an earlier mirror with other rules: writing to them by an
 * inside name would change what the rules leave alone. Finds those that stayed as they are, and has their inside names become an object of
 * their own. Memory is one record for each name of an object of the replica with several.
 */
import { nameOf, parentOf, type RelPath } from '../domain/rel-path.ts'
import { listingEntries, type ListingEntry } from '../wire/listing-codec.ts'
import { encodeOperation } from '../wire/operation-codec.ts'
import { EntrySender, type VolumeSending } from './send-entries.ts'

export class EdgeLinks {
  readonly #met = new Map<bigint, { linkCount: number, paths: RelPath[] }>()

  /** A name inside stays what it is on the replica. */
  note(target: ListingEntry, path: RelPath): void {
    if (target.type === 'directory' || target.linkCount < 2) return
    const met = this.#met.get(target.inode)
    if (met === undefined) this.#met.set(target.inode, { linkCount: target.linkCount, paths: [path] })
    else met.paths.push(path)
  }

  /** Has the inside names of shared objects lead to objects of their own. To be called when every name was met, while no replication runs. */
  async sever(volume: VolumeSending, signal: AbortSignal): Promise<void> {
    const sender = new EntrySender(volume)
    for (const { linkCount, paths: [first, ...others] } of this.#met.values()) {
      if (first === undefined || others.length + 1 >= linkCount) continue
      if ([first, ...others].some(path => volume.front.wasReplaced(volume.volume, path))) {
        // what they are by now is not known here
        for (const path of [first, ...others]) volume.front.lookAgain(volume.volume, path)
        continue
      }
      const page = await volume.tree.look(first, signal)
      if (page === undefined) continue
      await sender.remove(parentOf(first), nameOf(first), signal)
      await sender.sendEntries(parentOf(first), [...listingEntries(page)].map(source => ({ source, target: undefined })), signal)
      for (const path of others) {
        await sender.add(encodeOperation({ kind: 'link', path, existing: first }), signal)
        sender.touched.add(parentOf(path))
      }
    }
    await sender.finishDirectories(signal)
  }
}
