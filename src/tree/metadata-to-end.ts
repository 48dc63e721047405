/** The metadata that ends a file which was sent in pieces. */
import { decodeOperations, encodeOperation, type OperationBatch } from '../wire/operation-codec.ts'
import type { SourceFile } from './source-tree.ts'

/**
 * The metadata as it is now, but with the times from before the file was read: a file that changed meanwhile does not look equal to a mirror
 * that goes on after an interruption. @param before what `file.metadata` gave then
 */
export async function metadataToEnd(before: OperationBatch, file: SourceFile, signal: AbortSignal): Promise<OperationBatch> {
  const [was] = decodeOperations(before)
  const [is] = decodeOperations(await file.metadata(signal))
  if (was?.kind !== 'metadata' || is?.kind !== 'metadata') throw new TypeError('a source file has given no metadata')
  const { mtimeNs, atimeNs } = was.metadata
  return encodeOperation({ ...is, metadata: { ...is.metadata, mtimeNs, atimeNs } })
}
