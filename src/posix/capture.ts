/**
 * Typed face of the addon's capture of changes: fanotify watches and walks by change time. Numbers, buffers and records; what they mean
 * is decided in src/capture.
 */
export interface NativeWatch {
  /**
   * Marks of one moment as records (taken.rs), with paths as they are now, and the ranges of files among them (join.rs): in parts of about
   * `most`, one for each call; `last`: nothing is left of them.
   */
  take(most: number): Promise<{ records: Buffer, ranges: Buffer, last: boolean }>
  /** why ranges are not known, of all or of some of the roots; empty when they are */
  untraced(): string[]
  /** As `take`, without what has moved; the marks stay. Rescans when there are more than `most`. */
  peek(most: number): Promise<Buffer>
  /** What was taken last was looked at. */
  looksEnded(): Promise<void>
  /** From now on marks that memory has no room for go to a file in this folder. */
  keepOnDisk(folder: Buffer, maximumBytes: number, minimumFreeBytes: number): void
  /**
   * count of marks; when the oldest was made; their bytes; since when ranges are coarse, and files whole; bytes on disk, since when there are
   * any, and since when it is half full (ms since the epoch, -1 for none)
   */
  pending(): [count: number, oldestMs: number, bytes: number, coarseMs: number, wholeMs: number, diskBytes: number, diskMs: number, halfMs: number]
  /** Ends the capture; twice is fine. */
  close(): void
}

export interface NativeWalk {
  /** Records of changed.rs; empty at the end. */
  next(): Promise<Buffer>
  /** Closes the walk's descriptors; twice is fine. */
  close(): void
}

/** As if the kernel had less than it has: for tests. */
export interface LesserKernel {
  /** KiB of the buffer in which each processor records changed ranges */
  traceKiB?: number
  /** the queue of events has the kernel's limit (fs.fanotify.max_queued_events) */
  boundedQueue?: boolean
  /** it names neither the object of an event about an entry, nor both ends of a rename */
  before517?: boolean
}

export interface NativeCapture {
  FanotifyWatch: { open(roots: readonly Buffer[], limitBytes: number, pages: boolean, lesser: LesserKernel): NativeWatch }
  ChangedWalk: { open(root: Buffer, sinceNs: bigint | null, inodes: readonly bigint[], keepOpen: boolean): NativeWalk }
}

const TAKEN_KINDS = ['entry', 'data', 'metadata', 'object', 'rescan', 'moved'] as const

/** One record of `NativeWatch.take`. */
export interface TakenMark {
  kind: typeof TAKEN_KINDS[number]
  volume: number
  atMs: number
  /** bytes of the path below the volume's root; a view of the records */
  path: Buffer
  /** inode of the object that changed (0: not known), or time since when to rescan (ms) */
  number: bigint
  /** of that object; of an entry: 1 when data of what it names changed, too; of a rescan: why; with MOVED_DIRECTORY for a directory that has moved */
  linkCount: number
}

/** In the link count of a mark of kind `moved`: the object is a directory. Its time is 1 when it left early. */
export const MOVED_DIRECTORY = 0x8000_0000

/** The records of `NativeWatch.take`. */
export function* takenMarks(records: Buffer): Generator<TakenMark, void, void> {
  for (let at = 0; at < records.length;) {
    const kind = TAKEN_KINDS[records.readUInt8(at) - 1]
    if (kind === undefined) throw new RangeError(`a mark of kind ${String(records.readUInt8(at))}`)
    const end = at + 13 + records.readUInt16LE(at + 11)
    yield { kind, volume: records.readUInt16LE(at + 1), atMs: records.readDoubleLE(at + 3), path: records.subarray(at + 13, end), number: records.readBigUInt64LE(end), linkCount: records.readUInt32LE(end + 8) }
    at = end + 12
  }
}

/** Of a rescan, as bits from the lowest on (rescans.rs). */
const RESCAN_REASONS = ['events-lost', 'trace-lost', 'queue-full', 'queue-lost'] as const

/** What the bits of a rescan stand for. */
export function rescanReasons(bits: number): (typeof RESCAN_REASONS[number])[] {
  return RESCAN_REASONS.filter((_, bit) => (bits & 1 << bit) !== 0)
}

/** One record of `NativeWalk.next`. */
export interface WalkedObject { type: 'file' | 'directory' | 'other', linkCount: number, inode: bigint, ctimeNs: bigint, path: Buffer }

const WALKED_TYPES = ['other', 'file', 'directory'] as const

/** The records of `NativeWalk.next`. */
export function* walkedObjects(records: Buffer): Generator<WalkedObject, void, void> {
  for (let at = 0; at < records.length;) {
    const type = WALKED_TYPES[records.readUInt8(at)]
    if (type === undefined) throw new RangeError(`an object of type ${String(records.readUInt8(at))}`)
    const end = at + 23 + records.readUInt16LE(at + 21)
    yield { type, linkCount: records.readUInt32LE(at + 1), inode: records.readBigUInt64LE(at + 5), ctimeNs: records.readBigInt64LE(at + 13), path: records.subarray(at + 23, end) }
    at = end
  }
}
