/** Counts what a mirror has found, done and skipped, and says so now and then. */
import type { Clock } from '../clock/clock.ts'
import type { Finding } from '../domain/finding.ts'
import { countOrphan, NO_ORPHANS, type Orphan } from '../domain/orphan.ts'
import { NO_MIRROR_PROGRESS, type MirrorProgress } from '../domain/progress.ts'
import type { EntryCount } from '../tree/source-tree.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'

export type MirrorReporter = (progress: MirrorProgress, findings: readonly Finding[]) => void

const REPORT_INTERVAL_MS = 250

/** What of a file has been sent, and what was equal; its end counts it, with what was not told before. */
export interface FileTally { sent: (bytes: number) => void, equal: (bytes: number) => void, end: (skipped: boolean) => void }

export class Tally {
  readonly #stream: OperationStream
  readonly #clock: Clock
  readonly #report: MirrorReporter
  readonly #sentBefore: number
  readonly #packedBefore: number
  readonly #figures: MirrorProgress = { ...NO_MIRROR_PROGRESS }
  #findings: Finding[] = []
  #reportedMs = 0

  constructor(stream: OperationStream, clock: Clock, report: MirrorReporter) {
    this.#stream = stream
    this.#clock = clock
    this.#report = report
    this.#sentBefore = stream.bytesSent
    this.#packedBefore = stream.bytesSentPacked
  }

  found(entry: ListingEntry): void { this.#figures.filesFound++; this.#figures.bytesFound += payloadBytes(entry) }
  skipped(entry: ListingEntry): void { this.#figures.filesSkipped++; this.#figures.bytesSkipped += payloadBytes(entry) }
  done(entry: ListingEntry): void { this.#figures.filesDone++; this.#figures.bytesDone += payloadBytes(entry) }
  /** Entries that were found and done at once. */
  made({ files, bytes }: EntryCount): void {
    this.#figures.filesFound += files
    this.#figures.bytesFound += bytes
    this.#figures.filesDone += files
    this.#figures.bytesDone += bytes
  }

  /** Entries that were found and are there already. */
  unchanged({ files, bytes }: EntryCount): void {
    this.#figures.filesFound += files
    this.#figures.bytesFound += bytes
    this.#figures.filesSkipped += files
    this.#figures.bytesSkipped += bytes
  }

  finding(...findings: readonly Finding[]): void {
    this.#figures.findings += findings.length
    for (const finding of findings) this.#findings.push(finding)
  }

  /** A regular file whose bytes are counted while they are sent or compared. */
  begin(entry: ListingEntry): FileTally {
    const figures = this.#figures
    let left = payloadBytes(entry)
    const count = (what: 'bytesDone' | 'bytesSkipped', bytes: number): void => {
      const counted = Math.min(left, bytes)
      left -= counted
      figures[what] += counted
      this.tell()
    }
    return {
      sent: bytes => { count('bytesDone', bytes) }, equal: bytes => { count('bytesSkipped', bytes) },
      end: skipped => {
        figures[skipped ? 'filesSkipped' : 'filesDone']++
        count(skipped ? 'bytesSkipped' : 'bytesDone', left)
      },
    }
  }

  /** Everything is flushed on the replica. */
  completed(): void { this.#figures.complete = true }

  orphan(orphan: Pick<Orphan, 'fate' | 'sizeBytes'>): void { this.#figures.orphans = countOrphan(this.#figures.orphans ?? NO_ORPHANS, orphan) }

  walked(): void { this.#figures.walked = true }

  progress(): MirrorProgress { return { ...this.#figures, bytesSent: this.#stream.bytesSent - this.#sentBefore, bytesSentCompressed: this.#stream.bytesSentPacked - this.#packedBefore } }

  /** Reports when it is time, or now. */
  tell(now = false): void {
    const atMs = this.#clock.now()
    if (!now && atMs - this.#reportedMs < REPORT_INTERVAL_MS) return
    this.#reportedMs = atMs
    const findings = this.#findings
    this.#findings = []
    this.#report(this.progress(), findings)
  }
}

/** Bytes that copying an entry costs: its size, or what is allocated when it is sparse. */
function payloadBytes(entry: ListingEntry): number {
  return entry.type === 'file' ? Math.min(entry.sizeBytes, entry.allocatedBytes) : 0
}
