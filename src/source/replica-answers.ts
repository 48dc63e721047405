/**
 * Answers what the agent asks about the replica: listings, hashes, whether directories are the same. Each request is answered beside the others and beside the operations;
 * pages of a listing go out only as far as the agent has taken those before. Every request gets its answer: what is stopped, or cannot be
 * read, ends empty, because the agent counts the requests that are open.
 */
import { AppError } from '../errors/app-error.ts'
import type { TargetTree } from '../tree/target-tree.ts'
import { invalid } from '../wire/byte-reader.ts'
import { Credit, LIST_WINDOW_BYTES } from '../wire/credit.ts'
import type { Link } from '../wire/link.ts'
import { encodeListing, type ListingPage } from '../wire/listing-codec.ts'
import type { Message } from '../wire/messages.ts'
import { MAX_OPEN_REQUESTS } from '../wire/operation-stream.ts'
import type { Targets } from './source-server.ts'

type List = Extract<Message, { type: 'list' }>
type Hash = Extract<Message, { type: 'hash' }>
type Digests = Extract<Message, { type: 'digests' }>

const EMPTY_PAGE = encodeListing([])

export class ReplicaAnswers implements AsyncDisposable {
  readonly #link: Link
  readonly #targets: Targets
  readonly #stop = new AbortController()
  readonly #failure = new AbortController()
  readonly #credit = new Map<number, Credit>()
  readonly #running = new Set<Promise<undefined>>()
  /** never aborted: an answer that is owed waits for the link alone */
  readonly #life = new AbortController()

  constructor(link: Link, targets: Targets) {
    this.#link = link
    this.#targets = targets
  }

  /** aborted, with the error, when the replica could not be read */
  get failed(): AbortSignal { return this.#failure.signal }

  /** @throws {AppError} FRAME_INVALID when too much is asked for at once, or about no volume of the job */
  list(request: List): void {
    const target = this.#target(request.volume)
    if (this.#credit.has(request.request)) throw invalid('two requests under one number')
    const credit = new Credit(LIST_WINDOW_BYTES)
    this.#credit.set(request.request, credit)
    this.#run(async () => {
      const { directories } = request
      let ended = 0
      try {
        for await (const { directory, page, last } of target.listAll(directories, this.#stop.signal)) {
          await credit.take(page.length, this.#stop.signal)
          await this.#sendPage(request, directory, page, last, this.#stop.signal)
          if (last) ended = directory + 1
        }
      } finally {
        this.#credit.delete(request.request)
        for (; ended < directories.length; ended++) await this.#sendPage(request, ended, EMPTY_PAGE, true, this.#life.signal)
      }
    })
  }

  /** @throws {AppError} FRAME_INVALID as `list` */
  hash(request: Hash): void {
    const target = this.#target(request.volume)
    this.#run(async () => {
      let hashes: Buffer = Buffer.alloc(0)
      try {
        hashes = await target.blockHashes(request.path, request.offset, request.lengthBytes, request.blockBytes, this.#stop.signal)
      } finally {
        await this.#link.send({ type: 'hashes', volume: request.volume, request: request.request, hashes }, this.#life.signal)
      }
    })
  }

  /** @throws {AppError} FRAME_INVALID as `list` */
  same({ volume, request, directories }: Digests): void {
    const target = this.#target(volume)
    this.#run(async () => {
      let same: Buffer = Buffer.alloc(directories.length)
      try {
        same = await target.same(directories, this.#stop.signal)
      } finally {
        await this.#link.send({ type: 'same', volume, request, same }, this.#life.signal)
      }
    })
  }

  /** The agent has taken so many bytes of pages. @throws {AppError} FRAME_INVALID when that is more than was sent */
  listed(request: number, bytes: number): void {
    // for a request that ended meanwhile it is too late, and harmless
    if (this.#credit.get(request)?.give(bytes) === false) throw invalid('more pages taken than were sent')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running)
  }

  #target(volume: number): TargetTree {
    const target = this.#targets.get(volume)
    if (target === undefined) throw invalid(`a request about volume ${String(volume)}, which is not part of this job`)
    // an agent counts an answer as soon as it is there, we when its sending has ended: twice the number is never an honest one
    if (this.#running.size >= 2 * MAX_OPEN_REQUESTS) throw invalid('too many requests at once')
    return target
  }

  #run(answer: () => Promise<void>): void {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#running.add(promise)
    const end = (): void => {
      this.#running.delete(promise)
      resolve(undefined)
    }
    void this.#watched(answer, end)
  }

  /** Never rejects: a failure is in `failed`. */
  async #watched(answer: () => Promise<void>, end: () => void): Promise<void> {
    try {
      await answer()
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure.abort(error instanceof AppError ? error : new AppError('REPLICA_WRITE', 'the replica could not be read', { cause: error }))
    } finally {
      end()
    }
  }

  async #sendPage({ volume, request }: List, directory: number, page: ListingPage, last: boolean, signal: AbortSignal): Promise<void> {
    await this.#link.send({ type: 'listing', volume, request, directory, last, page }, signal)
  }
}
