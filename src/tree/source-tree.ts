/**
 * A tree of files on the source with all its metadata, read only. Listings and operations travel as encoded bytes, so that a hundred
 * thousand small files cost batches, not a hundred thousand objects. Promises: never crosses into a nested mount (what lies hidden below
 * a mount point is seen instead), never follows a symbolic link, does not disturb access times, gives directory entries in name order.
 */
import type { RelPath } from '../domain/rel-path.ts'
import type { Finding } from '../domain/finding.ts'
import type { AppError } from '../errors/app-error.ts'
import type { OperationBatch } from '../wire/operation-codec.ts'
import type { ListingEntry, ListingPage } from '../wire/listing-codec.ts'

/** What one `read` gave. */
export interface ReadResult {
  /** encoded operations in order; give it to TargetTree.apply or send it */
  batch: OperationBatch
  /** how many of the asked-for entries the batch (and `findings`, `large`) has dealt with */
  taken: number
  /** indexes (into the asked-for list) of regular files over `smallFileBytes`: metadata and data must be read through `openFile` */
  large: number[]
  /** what could not be read, vanished meanwhile, or is not supported */
  findings: Finding[]
}

/**
 * A page of directory number `directory` of those asked for; `last` ends it. `unreadable`, in words and only on a last page: it has more that
 * cannot be read.
 */
export interface DirectoryPage { directory: number, page: ListingPage, last: boolean, unreadable?: string }

/** So many entries, and what copying them costs: the size of a file, or what is allocated when it is sparse. */
export interface EntryCount { files: number, bytes: number }

/** What a directory holds, shortly: all its entries, and the names of its subdirectories in name order. */
export interface DigestedDirectory { digest: Buffer | undefined, count: EntryCount, subdirectories: readonly Buffer[] }

/** A directory that was read with all it holds. */
export interface WholeDirectory {
  /**
   * of its entries those that the caller must know, in name order: subdirectories, what is left, what could not be read. The records lack
   * inode flags and extended attributes. Empty when the directory is gone.
   */
  page: ListingPage
  /** positions in the page, ascending, of entries that the batch does not make: objects with several names, large files, what was too much */
  left: readonly number[]
  /** all that is not left */
  made: EntryCount
  /** whether nothing more is to be made in it: the batch gives it its times, or there is nothing in it */
  settled: boolean
}

/** What one `readDirectories` gave. */
export interface DirectoriesRead {
  /** encoded operations in order, as of `read`, and at its end a directory's `metadata` */
  batch: OperationBatch
  /** the first of those asked for; none when the first one is too large for this, or cannot be read: it must be listed then */
  directories: readonly WholeDirectory[]
  findings: Finding[]
}

export interface SourceTree extends AsyncDisposable {
  /**
   * Entries of a directory in name order (bytes), in pages of at most about 1 MiB. A directory that is gone yields nothing. An entry that cannot
   * be looked at is given as a file with the inode number 0; reading it tells why. The path of an entry may be longer than can be addressed.
   * @throws {AppError} SOURCE_UNREADABLE
   */
  list(directory: RelPath, signal: AbortSignal): AsyncIterable<ListingPage>
  /**
   * The pages of several directories, one directory after the other as asked, each ended by a page that is its last (which may be empty):
   * as `list`, but one call for many small directories.
   */
  listAll(directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<DirectoryPage>
  /**
   * What each of the directories holds, in a digest, and what must be known of those of which the replica has the same: one call for all of
   * them. `digest` is undefined for a directory that is to be compared entry by entry: objects with several names, very many entries, what
   * cannot be read, is gone, or is not seen whole.
   */
  digest(directories: readonly RelPath[], signal: AbortSignal): Promise<readonly DigestedDirectory[]>
  /** A page with the one entry at path, or undefined when there is nothing (any more). The root has the empty name. */
  look(path: RelPath, signal: AbortSignal): Promise<ListingPage | undefined>
  /**
   * As `look` of each of the paths, in one call; records lack flags and extended attributes. What cannot be looked at is its error
   * SOURCE_UNREADABLE. @throws {AppError} SOURCE_UNREADABLE when descriptors or memory do not suffice
   */
  lookAll(paths: readonly RelPath[], signal: AbortSignal): Promise<readonly (ListingEntry | AppError | undefined)[]>
  /**
   * Operations that create what is at the paths as it is now: `directory`, `file` with its data when at most smallFileBytes, `symlink`,
   * `node`. Hard links are the caller's business. Cheapest when those of one directory stand together. Stops after about maxBatchBytes; call
   * again with the rest.
   */
  read(paths: readonly RelPath[], options: ReadOptions, signal: AbortSignal): Promise<ReadResult>
  /**
   * Operations that make all that the directories hold, for a replica that has nothing there: one call instead of three for each
   * directory. Ends behind the directory with which it reaches maxBatchBytes, and leaves what comes behind twice that in it; call again with
   * the rest.
   */
  readDirectories(directories: readonly RelPath[], options: ReadOptions, signal: AbortSignal): Promise<DirectoriesRead>
  /** Opens a regular file for reading in pieces. @throws {AppError} SOURCE_MISSING when it is gone or no regular file, SOURCE_UNREADABLE */
  openFile(path: RelPath, signal: AbortSignal): Promise<SourceFile>
  /**
   * Opens several, and cleans these ranges of them as `clean` does; then tells their sizes, and the runs of data that lie in the ranges, in order. A size counts
   * whatever was written to the ranges before the call. Ranges may reach behind the end. What cannot be had of one is its error, as of `openFile`.
   */
  openSettled(files: readonly { path: RelPath, ranges: readonly DataRange[] }[], signal: AbortSignal): Promise<(SettledFile | AppError)[]>
  /** Operation `metadata` for path as it is now, or undefined when it is gone. @throws {AppError} SOURCE_UNREADABLE */
  readMetadata(path: RelPath, signal: AbortSignal): Promise<OperationBatch | undefined>
  /**
   * What each of the paths leads to and its metadata, in one call, for the first of the paths, at least one; undefined where there is nothing,
   * and its error SOURCE_UNREADABLE where that cannot be read. @throws {AppError} SOURCE_UNREADABLE when descriptors or memory do not suffice
   */
  readMetadataAll(paths: readonly RelPath[], signal: AbortSignal): Promise<readonly (SeenMetadata | AppError | undefined)[]>
  /**
   * With true, nothing that the tree has opened is closed from now on: on a frozen file system the last close of a file can block until
   * it is thawed (capture.md). With false, what was put off is closed. The caller sees to a limit of descriptors that suffices.
   */
  keepOpen(keep: boolean): Promise<void>
}

export interface ReadOptions {
  smallFileBytes: number
  maxBatchBytes: number
  /** `read` cleans the files that it reads, as SourceFile.clean does; left out: not */
  clean?: boolean
}

/** An object and its `metadata` operation, which is missing when its name passed to another object meanwhile. */
export interface SeenMetadata { inode: bigint, linkCount: number, isDirectory: boolean, batch: OperationBatch | undefined }

/** A regular file being read; it may change meanwhile. Dispose to close. */
export interface SourceFile extends AsyncDisposable {
  /** size when it was opened, in bytes */
  readonly sizeBytes: number
  /** Runs of data at or after offset, in order; what lies between is a hole. */
  extents(signal: AbortSignal): Promise<readonly DataRange[]>
  /** Reads up to length bytes at offset; shorter at the end of the file. @throws {AppError} SOURCE_UNREADABLE on a read error */
  read(offset: number, lengthBytes: number, signal: AbortSignal): Promise<Buffer>
  /**
   * The same of several ranges, as the operations `write` that put it into the replica's file; none for what lies behind the end of the file.
   * @throws {AppError} SOURCE_UNREADABLE when any of them cannot be read
   */
  readWrites(ranges: readonly DataRange[], signal: AbortSignal): Promise<OperationBatch>
  /** Strong hash (BLAKE3, 16 bytes each) of each block of blockBytes in the range, concatenated; holes hash as zeros without being read. */
  blockHashes(offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer>
  /** Writes back and cleans the range's pages, so that a later store through mmap is seen by capture again (capture.md). */
  clean(offset: number, lengthBytes: number, signal: AbortSignal): Promise<void>
  /** The `metadata` operation for the file as it is now, encoded for path. */
  metadata(signal: AbortSignal): Promise<OperationBatch>
}

/** `file.sizeBytes` is its size when it was cleaned. */
export interface SettledFile { file: SourceFile, extents: readonly DataRange[] }

export interface DataRange { offset: number, lengthBytes: number }
