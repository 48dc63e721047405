/**
 * How fast a mirror goes: figures and times in, figures out. The share is domain/progress.ts's, the rate is a moving average.
 */
import { mirrorPosition, mirrorShare, type MirrorProgress } from '../domain/progress.ts'

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

const WINDOW_MS = 10_000
const MIN_WINDOW_MS = 1000

export class MirrorMeter {
  #samples: { atMs: number, position: number }[] = []
  #reached = 0

  /** Takes the next figures. Smaller found figures than before mean that a new mirror has begun. */
  update(progress: MirrorProgress, nowMs: number): MirrorFigures {
    const { position: reached, total } = mirrorPosition(progress)
    if (reached < this.#reached) this.#samples = []
    this.#reached = reached
    this.#samples.push({ atMs: nowMs, position: reached })
    while ((this.#samples[1]?.atMs ?? Infinity) <= nowMs - WINDOW_MS) this.#samples.shift()
    const rate = this.#rate()
    return {
      share: mirrorShare(progress),
      doneBytes: Math.min(progress.bytesFound, progress.bytesDone + progress.bytesSkipped),
      foundBytes: progress.bytesFound,
      bytesPerSecond: rate,
      remainingMs: progress.complete ? 0 : !progress.walked || rate === undefined || rate <= 0 ? undefined : (total - reached) / rate * 1000,
    }
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
