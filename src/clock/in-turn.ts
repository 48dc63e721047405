/** Work that must not overlap: each piece runs when the ones before it have ended, however they ended, in the order of the calls. */
export class InTurn {
  #last: Promise<unknown> = Promise.resolve()

  /** Settles as `work` does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last
    const mine = (async () => {
      await Promise.allSettled([before])
      return await work()
    })()
    this.#last = mine
    return await mine
  }
}
