/** Owner, mode, number of names and extended attributes of what a layer and the volume below it have at a path; flags are kept apart (flagged-files.ts). */
import { isDeepStrictEqual } from 'node:util'
import { parseRelPath } from '../domain/rel-path.ts'
import { closeTree, lookAt, openTree, type TreeHandle } from '../posix/posix.ts'
import { asListingPage, listingEntries } from '../wire/listing-codec.ts'

export class LayerAttributes implements Disposable {
  readonly #trees: DisposableStack
  readonly #view: TreeHandle
  readonly #below: TreeHandle

  private constructor(trees: DisposableStack, view: TreeHandle, below: TreeHandle) {
    this.#trees = trees
    this.#view = view
    this.#below = below
  }

  /** @param view what the layer shows @param below the volume */
  static async open(view: string, below: string): Promise<LayerAttributes> {
    using trees = new DisposableStack()
    const open = async (directory: string): Promise<TreeHandle> => trees.adopt(await openTree(directory, 'source'), closeTree)
    const [shown, had] = [await open(view), await open(below)]
    return new LayerAttributes(trees.move(), shown, had)
  }

  /** Whether they are the same on both sides. @param path below the root of the volume */
  async same(path: string): Promise<boolean> {
    const is = await attributesOf(this.#view, path)
    return is !== undefined && isDeepStrictEqual(is, await attributesOf(this.#below, path))
  }

  [Symbol.dispose](): void {
    this.#trees.dispose()
  }
}

async function attributesOf(tree: TreeHandle, path: string): Promise<unknown> {
  const page = await lookAt(tree, parseRelPath(Buffer.from(path)), 'source')
  const [entry] = page === undefined ? [] : listingEntries(asListingPage(page))
  if (entry === undefined) return undefined
  const { mode, uid, gid, xattrs } = entry.core
  return { mode, uid, gid, xattrs, linkCount: entry.linkCount }
}
