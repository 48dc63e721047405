/** Sends what a verification found in messages of bounded size, and counts it. Sending waits for the receiver: nothing piles up here. */
import { MAX_ASPECTS, type Aspect, type Difference } from '../domain/verification.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'
import { MAX_DIFFERENCES } from '../wire/messages.ts'
import type { RelPath } from '../domain/rel-path.ts'

/** What one message carries about, as JSON: well below the limits of control messages, of their values, too. */
const MESSAGE_BYTES = 64 * 1024

export type SendDifferences = (differences: readonly Difference[]) => Promise<void>

export class DifferenceSender {
  readonly #volume: number
  readonly #send: SendDifferences
  #waiting: Difference[] = []
  #bytes = 0

  constructor(volume: number, send: SendDifferences) {
    this.#volume = volume
    this.#send = send
  }

  /** All aspects of one path, in parts when they are many. False when there are none. */
  async add(path: RelPath, type: ListingEntry['type'], moving: boolean, aspects: Iterable<Aspect> | AsyncIterable<Aspect>): Promise<boolean> {
    let part = 0
    let group: Aspect[] = []
    let bytes = 0
    const end = async (): Promise<void> => {
      if (group.length === 0) return
      await this.#put({ volume: this.#volume, path: path.toString('base64'), type, moving, part: part++, aspects: group })
      group = []
      bytes = 0
    }
    for await (const aspect of aspects) {
      const size = JSON.stringify(aspect).length
      if (group.length === MAX_ASPECTS || bytes + size > MESSAGE_BYTES) await end()
      group.push(aspect)
      bytes += size
    }
    await end()
    return part > 0
  }

  /** Everything added is handed to the link when this resolves. */
  async flush(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    if (waiting.length > 0) await this.#send(waiting)
  }

  async #put(difference: Difference): Promise<void> {
    const bytes = JSON.stringify(difference).length
    if (this.#bytes + bytes > MESSAGE_BYTES || this.#waiting.length >= MAX_DIFFERENCES) await this.flush()
    this.#waiting.push(difference)
    this.#bytes += bytes
  }
}
