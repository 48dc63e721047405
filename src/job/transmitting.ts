/** Carries out what transmit-decision.ts decides: begins, holds and goes on with a job's flow of data, and sets how fast it goes. */
import type { Job } from '../domain/job.ts'
import type { SourceServer } from '../source/source-server.ts'
import type { JobHandle, Seams } from './step.ts'
import { decide, lineAt, type TransmitDecision, type TransmitOrder } from './transmit-decision.ts'

export type Flow = 'mirror' | 'replication'

/** The line of a job that is not asked whether it may send: the last drain. */
export async function transmitAsOrdered({ clock }: Pick<Seams, 'clock'>, { record }: JobHandle, source: SourceServer, signal: AbortSignal): Promise<void> {
  await source.transmit(lineAt(record.options, clock.now()), signal)
}

/**
 * Runs `work` while the job's orders let data be sent. When they do not, its signal is aborted, and it is run again when they do; orders
 * change while it runs. `work` answers what ends it, or undefined when it ended only by its signal.
 */
export async function transmitting<T>(
  { clock }: Pick<Seams, 'clock'>, job: JobHandle, source: SourceServer, flow: Flow, work: (signal: AbortSignal) => Promise<{ done: T } | undefined>, signal: AbortSignal,
): Promise<T | undefined> {
  const gate = new Gate(clock, job, source, flow)
  for (;;) {
    await gate.opened(signal)
    const hold = new AbortController()
    const over = new AbortController()
    const watching = gate.watch(hold, AbortSignal.any([signal, over.signal]))
    try {
      const result = await work(AbortSignal.any([signal, hold.signal]))
      if (result !== undefined) return result.done
      if (!hold.signal.aborted) return undefined
    } catch (error) {
      if (!hold.signal.aborted || error !== hold.signal.reason) throw error
    } finally {
      over.abort()
      await watching
    }
    signal.throwIfAborted()
  }
}

class Gate {
  readonly #clock: Seams['clock']
  readonly #job: JobHandle
  readonly #source: SourceServer
  readonly #flow: Flow
  #isRunning = false
  #receivedBefore = 0
  #line = ''

  constructor(clock: Seams['clock'], job: JobHandle, source: SourceServer, flow: Flow) {
    this.#clock = clock
    this.#job = job
    this.#source = source
    this.#flow = flow
  }

  /** Resolves when data may be sent, which is said by then. */
  async opened(signal: AbortSignal): Promise<void> {
    this.#isRunning = false
    for (;;) {
      signal.throwIfAborted()
      const look = this.#nextLook(signal)
      try {
        const decision = await this.#decision(signal)
        await this.#publish(decision, signal)
        if (decision.mode === 'active') {
          await this.#begin()
          return
        }
        await look.when(decision.lookAgainMs)
      } finally {
        look.done()
      }
    }
  }

  /** Looks again and again until the signal aborts; aborts `hold` when data may not be sent any more. Never rejects. */
  async watch(hold: AbortController, signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const look = this.#nextLook(signal)
        try {
          const decision = await this.#decision(signal)
          if (decision.mode !== 'active') {
            hold.abort(new DOMException(decision.why, 'AbortError'))
            return
          }
          await this.#publish(decision, signal)
          // a schedule that was given meanwhile lets go on what is running
          if (this.#job.record.transmissionBeganAtUtc === undefined) await this.#begin()
          await look.when(decision.lookAgainMs)
        } finally {
          look.done()
        }
      }
    } catch (error) {
      if (signal.aborted) return
      // what the flow is told, too, when the link is lost; anything else ends it here
      hold.abort(error)
    }
  }

  async #decision(signal: AbortSignal): Promise<TransmitDecision> {
    const { record } = this.#job
    const beganAtMs = record.transmissionBeganAtUtc === undefined ? undefined : Date.parse(record.transmissionBeganAtUtc)
    return decide(orderOf(record), {
      nowMs: this.#clock.now(), createdAtMs: Date.parse(record.createdAtUtc), beganAtMs, isRunning: this.#isRunning && beganAtMs !== undefined, sentBytes: this.#source.bytesReceived - this.#receivedBefore,
      ...await this.#queue(signal),
    })
  }

  /** What waits at the source. While nothing is sent nobody tells, so that it is asked, and shown. */
  async #queue(signal: AbortSignal): Promise<{ queued: number, oldestMs: number }> {
    if (this.#flow === 'mirror') return { queued: Infinity, oldestMs: Infinity }
    const { replication, paused, options } = this.#job.record
    if (this.#isRunning || (paused !== true && options.transmitSchedule === undefined)) return { queued: replication?.queued ?? Infinity, oldestMs: replication?.recoveryPointLatencyMs ?? 0 }
    const { queued, oldestMs } = await this.#source.queue(signal)
    if (replication !== undefined) this.#job.progress({ replication: { ...replication, queued, recoveryPointLatencyMs: oldestMs } })
    return { queued, oldestMs }
  }

  async #publish({ mode, why, line }: TransmitDecision, signal: AbortSignal): Promise<void> {
    const wanted = JSON.stringify(line)
    if (wanted !== this.#line) await this.#source.transmit(line, signal)
    this.#line = wanted
    const { transmitMode, activity } = this.#job.record
    if (transmitMode === mode && (why === '' || why === activity)) return
    await this.#job.update({ transmitMode: mode, ...(why === '' ? { activity: this.#flow === 'mirror' ? 'mirroring' : 'protecting: changes are replicated' } : { activity: why }) })
    if (transmitMode !== undefined && transmitMode !== mode) await this.#job.note('transmit-mode', mode === 'active' ? 'data is sent again' : why)
  }

  async #begin(): Promise<void> {
    this.#isRunning = true
    this.#receivedBefore = this.#source.bytesReceived
    if (this.#job.record.options.transmitSchedule !== undefined) await this.#job.update({ transmissionBeganAtUtc: new Date(this.#clock.now()).toISOString() })
  }

  /** Registered before the decision, so that no order between it and the wait is missed. */
  #nextLook(signal: AbortSignal): { when: (ms: number | undefined) => Promise<void>, done: () => void } {
    const done = new AbortController()
    const inner = AbortSignal.any([signal, done.signal])
    const ordered = this.#job.ordered(inner)
    return {
      when: async ms => { await (ms === undefined ? ordered : Promise.race([ordered, this.#slept(ms, inner)])) },
      done: () => { done.abort() },
    }
  }

  async #slept(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(ms, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}

function orderOf({ options, paused }: Job): TransmitOrder {
  return { ...options, paused: paused === true }
}

