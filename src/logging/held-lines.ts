/** Lines on their way to where they are written, which may be stopped for a while; the last of them are kept meanwhile. */

/** Characters kept; what is older goes. */
const MAX_CHARACTERS = 256 * 1024

export class HeldLines {
  readonly #write: (line: string) => void
  #lines: string[] = []
  #characters = 0
  #dropped = 0
  #holds = 0

  constructor(write: (line: string) => void) {
    this.#write = write
  }

  write(line: string): void {
    if (this.#holds === 0) {
      this.#write(line)
      return
    }
    this.#lines.push(line)
    this.#characters += line.length
    while (this.#characters > MAX_CHARACTERS) {
      this.#characters -= this.#lines.shift()?.length ?? 0
      this.#dropped++
    }
  }

  /** Nothing is written until as many answers are called as there were calls; each counts once. */
  hold(): () => void {
    let mine = true
    this.#holds++
    return () => {
      if (!mine) return
      mine = false
      this.#holds--
      if (this.#holds > 0) return
      if (this.#dropped > 0) this.#write(`${JSON.stringify({ level: 40, time: new Date().toISOString(), msg: 'lines were dropped while nothing could be logged', dropped: this.#dropped })}\n`)
      for (const line of this.#lines) this.#write(line)
      this.#lines = []
      this.#characters = 0
      this.#dropped = 0
    }
  }
}
