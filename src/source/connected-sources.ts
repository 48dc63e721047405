/** The connected sources, by id: one connection each, the newest. */
import type { ConnectedSources, SourceServer } from './source-server.ts'

export class SourceRegistry implements ConnectedSources, AsyncDisposable {
  readonly #servers = new Map<string, SourceServer>()
  readonly #waiting = new Map<string, Set<(server: SourceServer) => void>>()

  find(sourceId: string): SourceServer | undefined {
    return this.#servers.get(sourceId)
  }

  async waitFor(sourceId: string, signal: AbortSignal): Promise<SourceServer> {
    signal.throwIfAborted()
    const server = this.#servers.get(sourceId)
    if (server !== undefined) return server
    const waiting = this.#waiting.get(sourceId) ?? new Set()
    this.#waiting.set(sourceId, waiting)
    return await new Promise<SourceServer>((resolve, reject) => {
      const leave = (): void => {
        signal.removeEventListener('abort', stop)
        waiting.delete(arrived)
        if (waiting.size === 0) this.#waiting.delete(sourceId)
      }
      const arrived = (connected: SourceServer): void => {
        leave()
        resolve(connected)
      }
      const stop = (): void => {
        leave()
        reject(signal.reason as Error)
      }
      waiting.add(arrived)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  /** The source has connected; an older connection of it is closed first. The registry disposes the server when it is replaced or itself disposed. */
  async add(server: SourceServer): Promise<void> {
    const older = this.#servers.get(server.sourceId)
    this.#servers.set(server.sourceId, server)
    await older?.[Symbol.asyncDispose]()
    // replaced itself, or ended, meanwhile
    if (this.#servers.get(server.sourceId) !== server) return
    if (server.ended.aborted) {
      this.#servers.delete(server.sourceId)
      return
    }
    server.ended.addEventListener('abort', () => {
      if (this.#servers.get(server.sourceId) === server) this.#servers.delete(server.sourceId)
    }, { once: true })
    for (const arrived of [...this.#waiting.get(server.sourceId) ?? []]) arrived(server)
  }

  /** Closes the connection of a source that is no longer welcome. */
  async drop(sourceId: string): Promise<void> {
    await this.#servers.get(sourceId)?.[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#servers.values()].map(async server => { await server[Symbol.asyncDispose]() }))
  }
}
