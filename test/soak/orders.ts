/** What a person may order of a job while it runs, as the receiver of the soak obeys it. */
import { isAppError } from '../../src/errors/app-error.ts'
import type { SourceServer } from '../../src/source/source-server.ts'
import type { SoakOrder } from './protocol.ts'

export class Orders {
  readonly #drain = new AbortController()
  #held = new AbortController()
  #goesOn = (): void => undefined
  #isStopped = false
  #bandwidthBytesPerS: number | undefined
  #server: SourceServer | undefined

  /** aborted when a drain was asked for; nothing holds the flow any more */
  get drain(): AbortSignal { return this.#drain.signal }

  obey(order: SoakOrder): void {
    switch (order.order) {
      case 'pause': case 'stop':
        if (this.drain.aborted) return
        this.#isStopped ||= order.order === 'stop'
        this.#held.abort(new DOMException(order.order, 'AbortError'))
        return
      case 'limit':
        this.#bandwidthBytesPerS = order.bandwidthBytesPerS
        void this.#tell()
        return
      case 'drain':
        this.#drain.abort()
        this.#resume()
        return
      case 'resume': this.#resume()
    }
  }

  /** Waits while the flow is held; the answer aborts when it is held again. */
  async flowing(): Promise<AbortSignal> {
    while (this.#held.signal.aborted) await new Promise<void>(resolve => { this.#goesOn = resolve })
    return this.#held.signal
  }

  /** Whether what was captured is to be forgotten; once. */
  takeStop(): boolean {
    const isStopped = this.#isStopped
    this.#isStopped = false
    return isStopped
  }

  /** Tells the server how fast to send, now and whenever that changes. */
  async limit(server: SourceServer, signal: AbortSignal): Promise<void> {
    this.#server = server
    await server.transmit(this.#transmission(), signal)
  }

  #resume(): void {
    if (this.#held.signal.aborted) this.#held = new AbortController()
    this.#goesOn()
  }

  /** A server that has gone needs not be told: the next one is. */
  async #tell(): Promise<void> {
    try {
      await this.#server?.transmit(this.#transmission(), new AbortController().signal)
    } catch (error) {
      if (!isAppError(error, 'LINK_LOST')) throw error
    }
  }

  #transmission(): Parameters<SourceServer['transmit']>[0] {
    return { compression: 'off', ...this.#bandwidthBytesPerS === undefined ? {} : { bandwidthBytesPerS: this.#bandwidthBytesPerS } }
  }
}
