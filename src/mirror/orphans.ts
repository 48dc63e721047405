/** What the replica of one volume has and the source has not: dealt with as the request says, counted and reported without a limit. */
import type { Clock } from '../clock/clock.ts'
import type { FileOperation } from '../domain/file-operation.ts'
import type { Finding } from '../domain/finding.ts'
import type { Orphan } from '../domain/orphan.ts'
import { display } from '../domain/rel-path.ts'
import { OrphanWalk, type FoundOrphan, type Leaving } from '../tree/orphan-walk.ts'
import type { VolumeRules } from '../tree/volume-rules.ts'
import type { MirrorRequest } from '../wire/messages.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import type { Tally } from './tally.ts'

/** Takes the orphans found since the last call; the mirror goes on when it resolves. */
export type OrphanReporter = (orphans: readonly Orphan[], signal: AbortSignal) => Promise<void>

export interface OrphanWork {
  stream: OperationStream
  rules: VolumeRules
  request: MirrorRequest
  clock: Clock
  tally: Tally
  /** left out: they are not told, as in a round that repeats another one */
  report: OrphanReporter | undefined
}

/** What one report carries at most. */
const REPORT_BYTES = 128 * 1024

export class Orphans {
  readonly #volume: number
  readonly #work: OrphanWork
  #found: Orphan[] = []
  #bytes = 0

  constructor(volume: number, work: OrphanWork) {
    this.#volume = volume
    this.#work = work
  }

  /** @param send takes the operations that have orphans go */
  walk(send: (operation: FileOperation, signal: AbortSignal) => Promise<void>): OrphanWalk {
    const { stream, rules, request, clock, report } = this.#work
    const { orphans, orphansOlderThanMs, removeOutside } = request
    const leaving: Leaving | undefined = orphans === 'keep' ? undefined : orphans === 'delete' ? 'remove' : 'set-aside'
    return new OrphanWalk({
      volume: this.#volume, stream, rules, orphans: leaving, send,
      youngerThanNs: orphansOlderThanMs === undefined ? undefined : BigInt(clock.now() - orphansOlderThanMs) * 1_000_000n,
      outside: removeOutside === true ? leaving ?? 'remove' : undefined,
      tell: report === undefined ? undefined : async (found, signal) => { await this.#tell(found, report, signal) },
    })
  }

  /** Everything that was found is reported when it resolves. */
  async finish(signal: AbortSignal): Promise<void> {
    const { report, tally } = this.#work
    if (report === undefined) return
    await this.#report(report, signal)
    const { outside = 0, outsideBytes = 0 } = tally.progress().orphans ?? {}
    if (outside > 0) tally.finding(outsideFinding(outside, outsideBytes))
  }

  async #tell({ path, type, sizeBytes, fate }: FoundOrphan, report: OrphanReporter, signal: AbortSignal): Promise<void> {
    const orphan: Orphan = { volume: this.#volume, path: display(path), pathBase64: path.toString('base64'), type, sizeBytes, fate }
    this.#work.tally.orphan(orphan)
    this.#found.push(orphan)
    this.#bytes += 4 * path.length + 150
    if (this.#bytes >= REPORT_BYTES) await this.#report(report, signal)
  }

  async #report(report: OrphanReporter, signal: AbortSignal): Promise<void> {
    const found = this.#found
    this.#found = []
    this.#bytes = 0
    if (found.length > 0) await report(found, signal)
  }
}

function outsideFinding(count: number, bytes: number): Finding {
  return {
    code: 'OUTSIDE_RULES', severity: 'warning', subject: 'replica',
    message: `${String(count)} files and directories with ${String(bytes)} bytes are on the replica though the rules leave them out; they were not touched.`,
    advice: 'Nothing, when they are wanted there; else mirror again with "--remove-outside".',
  }
}
