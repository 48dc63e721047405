/** Typed face of the addon's watching of directories by inotify, and of the kernel's list of mounts. What it means is decided in src/capture. */
export interface NativeInotify {
  /** Watches every directory that is there, as far as the budget goes. */
  cover(): Promise<void>
  /** Marks of one moment as records (name_marks.rs), with paths as they are now: in parts of about `most`; `last`: nothing is left of them. */
  take(most: number): Promise<{ records: Buffer, last: boolean }>
  /** count of marks; when the oldest was made (ms since the epoch, -1 for none); bytes of memory; directories watched, and not watched */
  pending(): [number, number, number, number, number]
  /** Ends the capture; twice is fine. */
  close(): void
}

export interface NativeMountEvents {
  /** Whether a mount came, went or changed since the last call, or since it was opened. */
  changed(): boolean
  close(): void
}

export interface NativeWatching {
  InotifyWatch: { open(roots: readonly Buffer[], maxWatches: number, limitBytes: number): NativeInotify }
  MountEvents: { open(): NativeMountEvents }
}

const KINDS = ['entry', 'data', 'metadata', 'rescan'] as const

/** One record of `NativeInotify.take`. */
export interface NameMark {
  kind: typeof KINDS[number]
  volume: number
  atMs: number
  /** since when to rescan, milliseconds since the epoch */
  sinceMs: number
  /** bytes of the path below the volume's root; a view of the records; of a rescan: one byte, why */
  path: Buffer
}

/** The records of `NativeInotify.take`. */
export function* nameMarks(records: Buffer): Generator<NameMark, void, void> {
  for (let at = 0; at < records.length;) {
    const kind = KINDS[records.readUInt8(at) - 1]
    if (kind === undefined) throw new RangeError(`a mark of kind ${String(records.readUInt8(at))}`)
    const end = at + 21 + records.readUInt16LE(at + 19)
    yield { kind, volume: records.readUInt16LE(at + 1), atMs: records.readDoubleLE(at + 3), sinceMs: records.readDoubleLE(at + 11), path: records.subarray(at + 21, end) }
    at = end
  }
}
