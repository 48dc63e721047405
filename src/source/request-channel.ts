/** Requests to the agent and their answers, by number. An answer that nobody waits for any more is dropped. */
import { AppError } from '../errors/app-error.ts'
import { CODES, type ErrorCode } from '../errors/codes.ts'
import { invalid } from '../wire/byte-reader.ts'
import type { Link } from '../wire/link.ts'
import type { Control } from '../wire/messages.ts'
import { whenSilent } from '../wire/silence.ts'

type WithId = Extract<Control, { id: number }>
type Kind = WithId['kind']
type Of<K extends Kind> = Extract<WithId, { kind: K }>
type Progress = Of<'mirror-progress' | 'mirror-orphans' | 'verify-progress' | 'differences' | 'replication-progress' | 'quiesce-note'>
type TakeProgress = (control: Progress) => void | Promise<void>

interface Pending { kinds: readonly Kind[], resolve: (answer: WithId) => void, reject: (error: Error) => void, progress: TakeProgress | undefined, forgotten: boolean }

/** how long a cancelled request may take to end on the agent before the connection is given up; data on its way counts as an answer that comes */
const CANCEL_MS = 60_000

export class RequestChannel {
  readonly #link: Link
  readonly #pending = new Map<number, Pending>()
  readonly #ended: AbortSignal
  #id = 0

  /** @param ended aborted with the error that everybody who waits gets when the link has ended */
  constructor(link: Link, ended: AbortSignal) {
    this.#link = link
    this.#ended = ended
    ended.addEventListener('abort', () => {
      for (const pending of this.#pending.values()) pending.reject(ended.reason as Error)
    }, { once: true })
  }

  /**
   * Asks for one thing; resolves with the answer of kind `answer`. Abort asks the agent to stop and rejects at once.
   * @throws {AppError} the agent's code when it failed; LINK_LOST also when there is no answer within timeoutMs, in which no data came either
   */
  async ask<K extends Kind>(request: (id: number) => Control, answer: K, timeoutMs: number, signal: AbortSignal): Promise<Of<K>> {
    using silence = whenSilent(this.#link, timeoutMs)
    const late = silence.signal
    const { id, answered } = await this.#open(request, [answer], undefined, signal)
    try {
      return await Promise.race([answered, aborted(AbortSignal.any([signal, late]))]) as Of<K>
    } catch (error) {
      this.#forget(id)
      signal.throwIfAborted()
      if (late.aborted) throw new AppError('LINK_LOST', `the agent did not answer within ${String(Math.round(timeoutMs / 1000))} s`)
      throw error
    }
  }

  /**
   * Asks for work that sends operations. Abort cancels it, and this rejects with the signal's reason only when the agent has confirmed that
   * it sends nothing more (or the link has ended).
   * @throws {AppError} the agent's code when it failed, LINK_LOST
   */
  async run<K extends Kind>(request: (id: number) => Control, answer: K, progress: TakeProgress, signal: AbortSignal): Promise<Of<K>> {
    const { id, answered } = await this.#open(request, [answer, 'cancelled'], progress, signal)
    const cancelling = new AbortController()
    const cancel = (): void => { void this.#cancel(id, cancelling.signal) }
    signal.addEventListener('abort', cancel, { once: true })
    if (signal.aborted) cancel()
    try {
      const result = await answered
      if (result.kind !== 'cancelled') return result as Of<K>
      signal.throwIfAborted()
      throw invalid(`a "${answer}" that nobody cancelled was cancelled`)
    } finally {
      signal.removeEventListener('abort', cancel)
      cancelling.abort()
    }
  }

  /** An answer, progress or failure that arrived; resolves when progress was taken, so that nothing piles up behind it. @throws {AppError} FRAME_INVALID when nothing like it was asked for */
  async take(control: Control): Promise<void> {
    const pending = 'id' in control ? this.#pending.get(control.id) : undefined
    if (!('id' in control) || pending === undefined) throw invalid(`"${control.kind}" that was not asked for`)
    if (isProgress(control)) {
      if (!pending.forgotten) await pending.progress?.(control)
      return
    }
    const failed = control.kind === 'failed'
    // it stays open otherwise: who waits for it is told when the link ends
    if (!failed && !(control.kind === 'cancelled' && pending.forgotten) && !pending.kinds.includes(control.kind)) throw invalid(`"${control.kind}" as the answer where "${pending.kinds.join('" or "')}" was expected`)
    this.#pending.delete(control.id)
    if (failed) pending.reject(new AppError(knownCode(control.code), control.message))
    else pending.resolve(control)
  }

  async #open(request: (id: number) => Control, kinds: readonly Kind[], progress: Pending['progress'], signal: AbortSignal): Promise<{ id: number, answered: Promise<WithId> }> {
    signal.throwIfAborted()
    this.#ended.throwIfAborted()
    const id = ++this.#id
    const { promise: answered, resolve, reject } = Promise.withResolvers<WithId>()
    answered.catch(() => undefined) // may be forgotten
    this.#pending.set(id, { kinds, resolve, reject, progress, forgotten: false })
    try {
      await this.#link.send({ type: 'control', control: request(id) }, signal)
    } catch (error) {
      this.#pending.delete(id)
      throw error
    }
    return { id, answered }
  }

  /** The answer may still come: it is dropped then. The agent is told that nobody wants it. */
  #forget(id: number): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    pending.forgotten = true
    void this.#tell({ kind: 'cancel', id })
  }

  /** Never rejects: a link that ended, or an agent that does not stop, shows at the request. */
  async #cancel(id: number, done: AbortSignal): Promise<void> {
    await this.#tell({ kind: 'cancel', id })
    const silence = whenSilent(this.#link, CANCEL_MS)
    silence.signal.addEventListener('abort', () => { void this.#link[Symbol.asyncDispose]() }, { once: true })
    done.addEventListener('abort', () => { silence[Symbol.dispose]() }, { once: true })
    if (done.aborted) silence[Symbol.dispose]()
  }

  async #tell(control: Control): Promise<void> {
    try {
      await this.#link.send({ type: 'control', control }, this.#ended)
    } catch {
      // the link has ended: everybody who waits is told so by it
    }
  }
}

function isProgress(control: WithId): control is Progress {
  return control.kind === 'mirror-progress' || control.kind === 'mirror-orphans' || control.kind === 'verify-progress' || control.kind === 'differences' || control.kind === 'replication-progress' || control.kind === 'quiesce-note'
}

function knownCode(code: string): ErrorCode {
  return Object.hasOwn(CODES, code) ? code as ErrorCode : 'INTERNAL'
}

async function aborted(signal: AbortSignal): Promise<never> {
  return await new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error)
    else signal.addEventListener('abort', () => { reject(signal.reason as Error) }, { once: true })
  })
}
