/**
 * How far a mirror is. Pure: figures and times in, figures out. The share done goes back only when more has been found meanwhile, is 100 %
 * only when all is done, and the rate is a moving average.
 */
import type { MirrorProgress } from '../domain/progress.ts'

export interface MirrorFigures {
  /** 0 to 1 */
  share: number
  doneBytes: number
  foundBytes: number
  /** undefined until enough was seen */
  bytesPerSecond: number | undefined
  /** undefined while files are still being found or the rate is not known */
  remainingMs: number | undefined
}

/** What a file costs besides its bytes, so that a million empty files show progress too. */
const FILE_COST_BYTES = 4096
const WINDOW_MS = 10_000
const MIN_WINDOW_MS = 1000
const ALMOST = 0.999

export class MirrorMeter {
  #samples: { atMs: number, position: number }[] = []
  #best = 0
  #finished = 0

  /** Takes the next figures. Smaller found figures than before mean that a new mirror has begun. */
  update(progress: MirrorProgress, nowMs: number): MirrorFigures {
    const total = progress.bytesFound + FILE_COST_BYTES * progress.filesFound
    const finished = progress.bytesDone + progress.bytesSkipped + FILE_COST_BYTES * (progress.filesDone + progress.filesSkipped)
    // a large file is done at its end: what was sent shows its progress before
    const sent = progress.bytesSent + progress.bytesSkipped + FILE_COST_BYTES * progress.filesSkipped
    const complete = progress.walked && finished >= total
    const reached = Math.min(Math.max(finished, sent), total)
    const last = this.#samples.at(-1)
    if (last !== undefined && finished < this.#finished) this.#restart()
    this.#finished = finished
    // compression and framing make `sent` jitter: what was reached stays reached
    this.#best = Math.min(total, Math.max(this.#best, reached))
    const position = this.#best
    this.#samples.push({ atMs: nowMs, position })
    while ((this.#samples[1]?.atMs ?? Infinity) <= nowMs - WINDOW_MS) this.#samples.shift()
    const rate = this.#rate()
    return {
      share: complete ? 1 : total === 0 ? 0 : Math.min(ALMOST, position / total),
      doneBytes: Math.min(progress.bytesFound, complete ? progress.bytesFound : Math.max(progress.bytesDone + progress.bytesSkipped, Math.min(progress.bytesSent + progress.bytesSkipped, progress.bytesFound))),
      foundBytes: progress.bytesFound,
      bytesPerSecond: rate,
      remainingMs: complete ? 0 : !progress.walked || rate === undefined || rate <= 0 ? undefined : (total - position) / rate * 1000,
    }
  }

  #restart(): void {
    this.#samples = []
    this.#best = 0
  }

  #rate(): number | undefined {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.atMs - first.atMs < MIN_WINDOW_MS) return undefined
    return Math.max(0, last.position - first.position) / (last.atMs - first.atMs) * 1000
  }
}

/** "[######      ]" of this many characters inside. */
export function bar(share: number, width: number): string {
  const full = Math.max(0, Math.min(width, Math.floor(share * width)))
  return `[${'#'.repeat(full)}${' '.repeat(width - full)}]`
}

/** "45.2 %"; 100 % only for 1. */
export function percent(share: number): string {
  return `${(share >= 1 ? 100 : Math.min(99.9, Math.floor(share * 1000) / 10)).toFixed(1)} %`
}
