/** The rescans of all volumes, of which each cycle does a part: the order of the cycles and their limits are the caller's. */
import type { Clock } from '../clock/clock.ts'
import type { Degradation } from '../domain/degradation.ts'
import type { Change } from '../capture/change-source.ts'
import type { CycleOptions, VolumeCycles } from './volume-cycles.ts'
import type { Rescan } from './volume-rescan.ts'

/** How long a cycle goes on with a volume's; at least with one chunk of it. */
const PART_MS = 200

export class Rescans {
  readonly #volumes: ReadonlyMap<number, VolumeCycles>
  readonly #clock: Clock

  constructor(volumes: ReadonlyMap<number, VolumeCycles>, clock: Clock) {
    this.#volumes = volumes
    this.#clock = clock
  }

  /** Those under way and waiting. */
  get all(): readonly Rescan[] { return [...this.#volumes.values()].flatMap(({ rescan }) => rescan.all) }
  get degraded(): readonly Degradation[] { return [...this.#volumes.values()].flatMap(({ rescan }) => rescan.degraded) }
  get isRunning(): boolean { return [...this.#volumes.values()].some(({ rescan }) => rescan.isRunning) }

  /** Looks at a part of each; `mayBegin`: those that wait may begin. @throws {AppError} LINK_LOST */
  async goOn(mayBegin: boolean, options: CycleOptions, beforeChunk: () => Promise<void>, signal: AbortSignal): Promise<void> {
    for (const of of this.#volumes.values()) {
      if (mayBegin) of.rescan.begin(options, signal)
      for (const began = this.#clock.now(); of.rescan.isRunning;) {
        await beforeChunk()
        await of.lookOver(options, signal)
        if (this.#clock.now() >= began + PART_MS) break
      }
    }
  }

  /** Gives up what is under way, and answers all that is still to be done. */
  async takeBack(): Promise<Change[]> {
    const back: Change[] = []
    for (const { rescan } of this.#volumes.values()) back.push(...await rescan.takeBack())
    return back
  }
}
