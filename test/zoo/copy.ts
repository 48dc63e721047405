/** The plainest copy of a whole tree through the two interfaces, hard links and large files included; not the product's mirror. */
import { joinRelPath, nameOf, ROOT_PATH, type RelPath } from '../../src/domain/rel-path.ts'
import type { Finding } from '../../src/domain/finding.ts'
import type { SourceTree } from '../../src/tree/source-tree.ts'
import type { ApplyFailure, TargetTree } from '../../src/tree/target-tree.ts'
import { listingEntries } from '../../src/wire/listing-codec.ts'
import { decodeOperations, encodeOperation, encodeOperations, type OperationBatch } from '../../src/wire/operation-codec.ts'

const PIECE_BYTES = 1024 * 1024

export interface CopyReport { files: number, failures: ApplyFailure[], findings: Finding[] }

export async function copyTree(source: SourceTree, target: TargetTree, signal: AbortSignal, smallFileBytes = 256 * 1024): Promise<CopyReport> {
  const report: CopyReport = { files: 0, failures: [], findings: [] }
  const firstNames = new Map<bigint, RelPath>()
  const apply = async (batch: OperationBatch): Promise<void> => {
    report.failures.push(...(await target.apply(batch, signal)).failures)
  }

  async function copyLarge(path: RelPath): Promise<void> {
    await using file = await source.openFile(path, signal)
    const metadata = [...decodeOperations(await file.metadata(signal))][0]
    if (metadata?.kind !== 'metadata') throw new TypeError('no metadata')
    await apply(encodeOperation({ kind: 'file', path, sizeBytes: file.sizeBytes, complete: false, metadata: metadata.metadata, extents: [] }))
    for (const range of await file.extents(signal)) {
      for (let at = range.offset; at < range.offset + range.lengthBytes; at += PIECE_BYTES) {
        const data = await file.read(at, Math.min(PIECE_BYTES, range.offset + range.lengthBytes - at), signal)
        await apply(encodeOperation({ kind: 'write', path, offset: at, data }))
      }
    }
    await apply(await file.metadata(signal))
  }

  async function copyEntries(directory: RelPath, names: Buffer[]): Promise<void> {
    for (let left = names; left.length > 0;) {
      const { batch, taken, large, findings } = await source.read(left.map(name => joinRelPath(directory, name)), { smallFileBytes, maxBatchBytes: PIECE_BYTES }, signal)
      report.findings.push(...findings)
      await apply(batch)
      for (const index of large) {
        const name = left[index]
        if (name !== undefined) await copyLarge(joinRelPath(directory, name))
      }
      left = left.slice(taken)
    }
  }

  const directories = [ROOT_PATH]
  const walked: RelPath[] = []
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    walked.push(directory)
    const links: { path: RelPath, existing: RelPath }[] = []
    for await (const page of source.list(directory, signal)) {
      const names: Buffer[] = []
      for (const entry of listingEntries(page)) {
        if (directory.length === 0 && entry.name.toString() === 'lost+found') continue
        report.files += 1
        const path = joinRelPath(directory, entry.name)
        if (entry.type === 'directory') directories.push(path)
        const existing = entry.type !== 'directory' && entry.linkCount > 1 ? firstNames.get(entry.inode) : undefined
        if (existing !== undefined) {
          links.push({ path, existing })
          continue
        }
        if (entry.linkCount > 1) firstNames.set(entry.inode, path)
        names.push(nameOf(path))
      }
      await copyEntries(directory, names)
    }
    await apply(encodeOperations(links.map(link => ({ kind: 'link' as const, ...link }))))
  }
  for (const directory of walked.reverse()) {
    const metadata = await source.readMetadata(directory, signal)
    if (metadata !== undefined) await apply(metadata)
  }
  return report
}
