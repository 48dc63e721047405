/**
 * A source tree of which only what the rules let in is seen: every name that does not belong to the replica is as if it were not there.
 * What a directory holds that no rule can touch is passed on as it is, so that rules cost nothing there.
 */
import { display, parentOf, type RelPath } from '../domain/rel-path.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { encodeListing, keptEntries, listingEntries, type ListingEntry, type ListingPage } from '../wire/listing-codec.ts'
import { encodeOperations, keptOperations, type OperationBatch } from '../wire/operation-codec.ts'
import type { DataRange, DigestedDirectory, DirectoriesRead, DirectoryPage, ReadOptions, ReadResult, SeenMetadata, SettledFile, SourceFile, SourceTree, WholeDirectory } from './source-tree.ts'
import type { DirectoryRules, VolumeRules } from './volume-rules.ts'

/** Directories that are looked into at once to see whether they hold anything that the rules keep out. */
const LOOKED_INTO = 32

const NOTHING = encodeListing([])
const NOT_SEEN_WHOLE: DigestedDirectory = { digest: undefined, count: { files: 0, bytes: 0 }, subdirectories: [] }

/** The tree as the rules let it be seen; itself when they let everything in. Disposing disposes of the tree. */
export function ruledSourceTree(tree: SourceTree, rules: VolumeRules): SourceTree {
  return rules.all ? tree : new RuledSourceTree(tree, rules)
}

class RuledSourceTree implements SourceTree {
  readonly #tree: SourceTree
  readonly #rules: VolumeRules

  constructor(tree: SourceTree, rules: VolumeRules) {
    this.#tree = tree
    this.#rules = rules
  }

  async* list(directory: RelPath, signal: AbortSignal): AsyncIterable<ListingPage> {
    const rules = this.#rules.at(directory)
    if (rules.reach === 'none') return
    for await (const page of this.#tree.list(directory, signal)) yield seen(page, rules)
  }

  async* listAll(directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<DirectoryPage> {
    const rules = directories.map(directory => this.#rules.at(directory))
    for await (const listed of this.#tree.listAll(directories, signal)) {
      const of = rules[listed.directory]
      yield of === undefined ? listed : { ...listed, page: seen(listed.page, of) }
    }
  }

  async digest(directories: readonly RelPath[], signal: AbortSignal): Promise<readonly DigestedDirectory[]> {
    const whole = directories.filter(directory => this.#rules.at(directory).reach === 'all')
    const digested = (whole.length === 0 ? [] : await this.#tree.digest(whole, signal)).values()
    return directories.map(directory => (this.#rules.at(directory).reach === 'all' ? digested.next().value : undefined) ?? NOT_SEEN_WHOLE)
  }

  async look(path: RelPath, signal: AbortSignal): Promise<ListingPage | undefined> {
    const page = await this.#tree.look(path, signal)
    if (page === undefined || path.length === 0) return page
    for (const entry of listingEntries(page)) if (!this.#isSeen(path, entry.type === 'directory')) return undefined
    return page
  }

  async lookAll(paths: readonly RelPath[], signal: AbortSignal): Promise<(ListingEntry | AppError | undefined)[]> {
    const found = await this.#tree.lookAll(paths, signal)
    return found.map((entry, i) => this.#ifSeen(paths[i], entry, found => found.type === 'directory'))
  }

  async read(paths: readonly RelPath[], options: ReadOptions, signal: AbortSignal): Promise<ReadResult> {
    const read = await this.#tree.read(paths, options, signal)
    return paths.every(path => this.#rules.at(parentOf(path)).reach === 'all') ? read : { ...read, batch: this.#kept(read.batch) }
  }

  async readDirectories(directories: readonly RelPath[], options: ReadOptions, signal: AbortSignal): Promise<DirectoriesRead> {
    const untouched = countLeading(directories, directory => this.#rules.at(directory).reach === 'all')
    if (untouched > 0) return await this.#tree.readDirectories(directories.slice(0, untouched), options, signal)
    const clean = await this.#countClean(directories.slice(0, LOOKED_INTO), signal)
    // the caller lists a directory that it did not get
    if (clean === 0) return { batch: encodeOperations([]), directories: [], findings: [] }
    const read = await this.#tree.readDirectories(directories.slice(0, clean), options, signal)
    // something that is kept out may have come meanwhile
    const whole = read.directories.map((one, i): WholeDirectory => this.#seenWhole(directories[i], one))
    return { ...read, batch: this.#kept(read.batch), directories: whole }
  }

  async openFile(path: RelPath, signal: AbortSignal): Promise<SourceFile> {
    if (!this.#isSeen(path, false)) throw keptOut(path)
    return await this.#tree.openFile(path, signal)
  }

  async openSettled(files: readonly { path: RelPath, ranges: readonly DataRange[] }[], signal: AbortSignal): Promise<(SettledFile | AppError)[]> {
    const isSeen = files.map(({ path }) => this.#isSeen(path, false))
    const opened = (await this.#tree.openSettled(files.filter((_, i) => isSeen[i]), signal)).values()
    return files.map(({ path }, i) => (isSeen[i] === true ? opened.next().value : undefined) ?? keptOut(path))
  }

  async readMetadata(path: RelPath, signal: AbortSignal): Promise<OperationBatch | undefined> {
    const asFile = this.#isSeen(path, false)
    const asDirectory = this.#isSeen(path, true)
    if (!asFile && !asDirectory) return undefined
    if (asFile !== asDirectory && path.length > 0 && await this.look(path, signal) === undefined) return undefined
    return await this.#tree.readMetadata(path, signal)
  }

  async readMetadataAll(paths: readonly RelPath[], signal: AbortSignal): Promise<(SeenMetadata | AppError | undefined)[]> {
    const found = await this.#tree.readMetadataAll(paths, signal)
    return found.map((seen, i) => this.#ifSeen(paths[i], seen, found => found.isDirectory))
  }

  async keepOpen(keep: boolean): Promise<void> {
    await this.#tree.keepOpen(keep)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tree[Symbol.asyncDispose]()
  }

  #ifSeen<Found>(path: RelPath | undefined, found: Found | AppError | undefined, isDirectory: (found: Found) => boolean): Found | AppError | undefined {
    if (path === undefined || found === undefined || path.length === 0) return found
    // what cannot be looked at may be either
    if (isAppError(found)) return this.#isSeen(path, false) || this.#isSeen(path, true) ? found : undefined
    return this.#isSeen(path, isDirectory(found)) ? found : undefined
  }

  #isSeen(path: RelPath, isDirectory: boolean): boolean {
    const place = this.#rules.placeOf(path, isDirectory)
    return place === 'inside' || place === 'way'
  }

  /** How many of the first directories hold nothing that is kept out. */
  async #countClean(directories: readonly RelPath[], signal: AbortSignal): Promise<number> {
    let clean = directories.length
    for await (const { directory, page } of this.#tree.listAll(directories, signal)) {
      const path = directories[directory]
      if (path === undefined || seen(page, this.#rules.at(path)) === page) continue
      clean = directory
      break
    }
    return clean
  }

  /** What operations make, without what is kept out. */
  #kept(batch: OperationBatch): OperationBatch {
    return keptOperations(batch, (kind, path) => path.length === 0 || this.#isSeen(path, kind === 'directory') || (kind === 'metadata' && this.#isSeen(path, true)))
  }

  #seenWhole(path: RelPath | undefined, whole: WholeDirectory): WholeDirectory {
    const rules = path === undefined ? undefined : this.#rules.at(path)
    if (rules === undefined || seen(whole.page, rules) === whole.page) return whole
    const left: number[] = []
    let at = 0
    let index = 0
    for (const entry of listingEntries(whole.page)) {
      const isLeft = whole.left.includes(index++)
      if (!isIn(rules.place(entry.name, entry.type === 'directory'))) continue
      if (isLeft) left.push(at)
      at++
    }
    return { ...whole, page: seen(whole.page, rules), left }
  }
}

function keptOut(path: RelPath): AppError {
  return new AppError('SOURCE_MISSING', `${display(path)} is kept out by the rules`)
}

/** The page itself when all its entries are in. */
function seen(page: ListingPage, rules: DirectoryRules): ListingPage {
  if (rules.reach === 'all' || page.length === 0) return page
  if (rules.reach === 'none') return NOTHING
  return keptEntries(page, entry => isIn(rules.place(entry.name, entry.type === 'directory')))
}

function isIn(place: ReturnType<DirectoryRules['place']>): boolean {
  return place === 'inside' || place === 'way'
}

function countLeading<Item>(items: readonly Item[], is: (item: Item) => boolean): number {
  const end = items.findIndex(item => !is(item))
  return end < 0 ? items.length : end
}
