/**
 * The one union of things that can be done to a file on the replica. Mirror and replication both produce it, one applier takes it.
 * Every operation is safe to repeat. Operations of one stream are applied in their order; the receiver never follows a link and never
 * leaves its root. `wire/operation-codec.ts` documents the bytes; `src/posix/addon` reads and writes the same bytes in batches.
 */
import type { RelPath } from './rel-path.ts'

export interface ExtendedAttribute { name: Buffer, value: Buffer }

/**
 * The directory is the root of a subvolume (btrfs). Where the file system of the replica has none it becomes a directory, and that is told.
 * A volume's own root never has it.
 */
export const SUBVOLUME_FLAG = 0x0100_0000
/** A subvolume that cannot be written, as snapshots often are. The replica's becomes so when it is flushed, to be filled before. */
export const READ_ONLY_SUBVOLUME_FLAG = 0x0400_0000

export interface FileMetadata {
  /** the 12 permission bits (07777), not the type */
  mode: number
  uid: number
  gid: number
  /**
   * inode flags as of FS_IOC_GETFLAGS, reduced to those we keep (append, immutable, nodump, noatime, nocow, sync, dirsync, projinherit), and
   * for directories SUBVOLUME_FLAG and READ_ONLY_SUBVOLUME_FLAG
   */
  flags: number
  projectId: number
  mtimeNs: bigint
  atimeNs: bigint
  /** all namespaces that root can read (ACLs are system.posix_acl_*), sorted by name bytes */
  xattrs: readonly ExtendedAttribute[]
}

/** A run of data at an offset; what no extent covers is a hole. Offsets and lengths in bytes. */
export interface Extent { offset: number, data: Buffer }

export type NodeType = 'fifo' | 'socket' | 'character' | 'block'

export type FileOperation =
  /**
   * Make the directory, or make what is there one, and give it the metadata. An existing directory keeps its children; EEXIST when it has
   * some and is a subvolume and should not be, or the other way round: send `remove` before.
   */
  | { kind: 'directory', path: RelPath, metadata: FileMetadata }
  /**
   * Make path a regular file of this size with these extents and nothing else. A regular file that is there is emptied and written in
   * place: its inode stays, so all its other names get this content too. Anything else that is there is removed first. So the sender
   * sends `remove` before it when the source's file is another inode than before (renamed over), or when the replica's file has names
   * (a link count) that the source's has not. Not `complete`: more `write`s follow; times and the append and immutable flags are left
   * alone until a `metadata` operation ends the file, so that an unfinished file never looks finished.
   */
  | { kind: 'file', path: RelPath, sizeBytes: number, complete: boolean, metadata: FileMetadata, extents: readonly Extent[] }
  /** Write into an existing regular file. */
  | { kind: 'write', path: RelPath, offset: number, data: Buffer }
  /** Make a hole in an existing regular file; the size stays. */
  | { kind: 'punch', path: RelPath, offset: number, lengthBytes: number }
  | { kind: 'resize', path: RelPath, sizeBytes: number }
  | { kind: 'symlink', path: RelPath, target: Buffer, metadata: FileMetadata }
  | { kind: 'node', path: RelPath, nodeType: NodeType, deviceMajor: number, deviceMinor: number, metadata: FileMetadata }
  /** Make path another name of the file at `existing`; replaces what is at path unless it is that file already. */
  | { kind: 'link', path: RelPath, existing: RelPath }
  /** Move path to `to`, replacing what is there. */
  | { kind: 'rename', path: RelPath, to: RelPath }
  /** Remove path and all below it; nothing there is fine. Never crosses a mount. */
  | { kind: 'remove', path: RelPath }
  /**
   * Remove path if what it names has further names; those stay. For an object of the source that has one name: whatever has more on the replica
   * is another one, into which nothing of it may be written.
   */
  | { kind: 'unshare', path: RelPath }
  /** Move path and all below it out of the replica, into the folder that the receiver (and only it) knows; refused where it has none. */
  | { kind: 'set-aside', path: RelPath }
  /**
   * Give what is at path this metadata; xattrs that are not listed go away. EEXIST when what is there must be made anew for it: as of
   * `directory`, and a file with data that shall be nocow and is not, or the other way round.
   */
  | { kind: 'metadata', path: RelPath, metadata: FileMetadata }

export type OperationKind = FileOperation['kind']
