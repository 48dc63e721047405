/** What the addon exports for trees of files; the modules tree, listing, look, looks, digest, listings, read, whole, source_file, apply and mark. */

export interface NativePage { page: Buffer, lister: number }
export interface NativeUnread { index: number, errno: number, offset: number, length: number }
export interface NativeRead { batch: Buffer, taken: number, large: number[], unread: NativeUnread[] }
export interface NativeWholeDirectory { pageEnd: number, left: number[], files: number, bytes: number, settled: boolean, unread: NativeUnread[] }
export interface NativeWhole { batch: Buffer, pages: Buffer, directories: NativeWholeDirectory[] }
export interface NativeFailure { index: number, kind: number, path: Buffer, errno: number, what: string, partial: boolean }
export interface NativeApplied { operations: number, bytesWritten: number, failures: NativeFailure[], ended: boolean, invalid: string }

export interface NativeTree {
  openTree(path: Buffer, readOnly: boolean): Promise<number>
  closeTree(tree: number): void
  keepOpen(tree: number, keep: boolean): Promise<void>
  listDirectory(tree: number, path: Buffer): Promise<NativePage>
  listDirectories(tree: number, paths: Buffer, maxBytes: number): Promise<{ pages: Buffer, ends: number[] }>
  digestDirectories(tree: number, paths: Buffer): Promise<{ digests: Buffer, counts: number[], names: Buffer, ends: number[] }>
  sameDirectories(tree: number, asked: Buffer): Promise<Buffer>
  nextPage(lister: number): Promise<NativePage>
  closeLister(lister: number): void
  lookAt(tree: number, path: Buffer): Promise<Buffer | null>
  lookAll(tree: number, paths: Buffer): Promise<{ page: Buffer, present: Buffer }>
  readEntries(tree: number, packed: Buffer, smallBytes: number, maxBytes: number, clean: boolean): Promise<NativeRead>
  readDirectories(tree: number, paths: Buffer, smallBytes: number, maxBytes: number): Promise<NativeWhole>
  readMetadata(tree: number, path: Buffer): Promise<Buffer | null>
  readMetadataAll(tree: number, paths: Buffer): Promise<{ batch: Buffer, ends: number[], seen: Buffer }>
  openFile(tree: number, path: Buffer): Promise<{ fd: number, size: number }>
  closeFile(tree: number, fd: number): void
  readFile(fd: number, offset: number, length: number): Promise<Buffer>
  readWrites(fd: number, path: Buffer, ranges: readonly number[], into: Buffer): Promise<number>
  dataRanges(fd: number): Promise<number[]>
  openSettled(tree: number, paths: Buffer, ranges: readonly number[]): Promise<number[]>
  hashBlocksOf(data: Buffer, block: number): Buffer
  blockHashes(fd: number, offset: number, length: number, block: number): Promise<Buffer>
  blockHashesAt(tree: number, path: Buffer, offset: number, length: number, block: number): Promise<Buffer>
  cleanRange(fd: number, offset: number, length: number): Promise<void>
  fileMetadata(tree: number, fd: number, path: Buffer): Promise<Buffer>
  applyOperations(tree: number, batch: Buffer): Promise<NativeApplied>
  flushTree(tree: number): Promise<void>
  readMark(tree: number, name: Buffer): Promise<Buffer | null>
  writeMark(tree: number, name: Buffer, value: Buffer | null, durable: boolean): Promise<void>
}
