/** One connection per VMware server for all jobs, so that their changes of the appliance's VM wait for each other. */
import { unlessAborted } from '../clock/unless-aborted.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'

export class SharedHypervisors implements AsyncDisposable {
  readonly #connect: (vmwareId: string, signal: AbortSignal) => Promise<Hypervisor>
  readonly #stop = new AbortController()
  readonly #open = new Map<string, Promise<Hypervisor>>()

  /** `connect` gets a signal that is aborted when this is disposed of. */
  constructor(connect: (vmwareId: string, signal: AbortSignal) => Promise<Hypervisor>) {
    this.#connect = connect
  }

  /** The connection, made when there is none; disposing what is answered leaves it open for others. A connection that failed is made anew. */
  async open(vmwareId: string, signal: AbortSignal): Promise<Hypervisor> {
    signal.throwIfAborted()
    const opening = this.#open.get(vmwareId) ?? this.#begin(vmwareId)
    const hypervisor = await unlessAborted(opening, signal)
    return new Proxy(hypervisor, {
      get: (target, key) => {
        if (key === Symbol.asyncDispose) return async () => { await Promise.resolve() }
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) as unknown : value
      },
    })
  }

  /** Closes the connection to a server that is removed. */
  async close(vmwareId: string): Promise<void> {
    const opening = this.#open.get(vmwareId)
    this.#open.delete(vmwareId)
    const [opened] = await Promise.allSettled(opening === undefined ? [] : [opening])
    if (opened?.status === 'fulfilled') await opened.value[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException('the appliance is shut down', 'AbortError'))
    await Promise.allSettled([...this.#open.keys()].map(async id => { await this.close(id) }))
  }

  async #begin(vmwareId: string): Promise<Hypervisor> {
    const opening = this.#connect(vmwareId, this.#stop.signal)
    this.#open.set(vmwareId, opening)
    try {
      return await opening
    } catch (error) {
      if (this.#open.get(vmwareId) === opening) this.#open.delete(vmwareId)
      throw error
    }
  }
}
