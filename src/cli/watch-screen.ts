/** What `job watch` draws: one line that is rewritten on a terminal, plain lines elsewhere. */
import type { JobEventRecord, JobView } from '../domain/job.ts'
import { jobLine } from './job-line.ts'
import { MirrorMeter, type MirrorFigures } from './mirror-meter.ts'
import { clean, formatTime } from './output.ts'
import type { Terminal } from './terminal.ts'

const PLAIN_INTERVAL_MS = 10_000
const CLEAR_LINE = '\r\u001b[K'

export class WatchScreen {
  readonly #terminal: Terminal
  readonly #now: () => number
  readonly #meter = new MirrorMeter()
  #line = ''
  #plainState = ''
  #plainAtMs = 0
  #plainLine = ''

  constructor(terminal: Terminal, now: () => number) {
    this.#terminal = terminal
    this.#now = now
  }

  /** Shows where the job is now. Away from a terminal: at each new state, and every ten seconds when something changed. */
  job(view: JobView): void {
    const figures = this.#figures(view)
    if (this.#terminal.outIsTty) {
      this.#draw(jobLine(view, figures, this.#terminal.columns()))
      return
    }
    const line = jobLine(view, figures, Number.MAX_SAFE_INTEGER)
    const atMs = this.#now()
    if (line === this.#plainLine || (view.state === this.#plainState && atMs - this.#plainAtMs < PLAIN_INTERVAL_MS)) return
    this.#plainState = view.state
    this.#plainAtMs = atMs
    this.#plainLine = line
    this.#terminal.out(`${line}\n`)
  }

  /** A line that stays, above the one that is rewritten. */
  history(event: JobEventRecord): void {
    this.#above(`${formatTime(event.atUtc)}  ${clean(event.message)}`)
  }

  note(text: string): void {
    this.#above(clean(text))
  }

  /** Leaves the cursor below everything. */
  end(): void {
    if (this.#line !== '') this.#terminal.out('\n')
    this.#line = ''
  }

  #figures(view: JobView): MirrorFigures | undefined {
    return view.state === 'mirroring' && view.mirror !== undefined ? this.#meter.update(view.mirror, this.#now()) : undefined
  }

  #draw(line: string): void {
    if (line === this.#line) return
    this.#terminal.out(`${this.#line === '' ? '' : CLEAR_LINE}${line}`)
    this.#line = line
  }

  #above(text: string): void {
    this.#terminal.out(this.#line === '' ? `${text}\n` : `${CLEAR_LINE}${text}\n${this.#line}`)
  }
}
