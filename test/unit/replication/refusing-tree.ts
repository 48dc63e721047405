/** A source tree of which a test has some calls about some paths refused, as a broken disk or a security module refuses them. */
import { display, type RelPath } from '../../../src/domain/rel-path.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { lookEach, readMetadataOfEach } from '../../../src/tree/look-each.ts'
import type { SourceTree } from '../../../src/tree/source-tree.ts'
import { unreadFinding } from '../../../src/tree/unread.ts'
import { encodeOperations } from '../../../src/wire/operation-codec.ts'

/** What is refused: opening for data, looking at, reading the metadata of, listing. */
export type Refusing = (what: 'open' | 'look' | 'metadata' | 'list', path: string) => boolean

export function refusingTree(tree: SourceTree, refuses: Refusing): SourceTree {
  const check = (what: Parameters<Refusing>[0], path: RelPath): void => {
    if (refuses(what, path.toString())) throw refusal(path)
  }
  const refusing: SourceTree = {
    look: async (path, signal) => { check('look', path); return await tree.look(path, signal) },
    readMetadata: async (path, signal) => { check('metadata', path); return await tree.readMetadata(path, signal) },
    lookAll: async (paths, signal) => lookEach(refusing, paths, signal),
    readMetadataAll: async (paths, signal) => readMetadataOfEach(refusing, paths, signal),
    list: async function* (directory, signal) {
      yield* tree.list(directory, signal)
      // as after an error further back: some of it was seen
      check('list', directory)
    },
    listAll: (directories, signal) => tree.listAll(directories, signal),
    digest: async (directories, signal) => tree.digest(directories, signal),
    read: async (paths, options, signal) => {
      const [first] = paths
      if (first !== undefined && (refuses('look', first.toString()) || refuses('metadata', first.toString()))) return { batch: encodeOperations([]), taken: 1, large: [], findings: [unreadFinding(first, 'EIO')] }
      const until = paths.findIndex(path => refuses('look', path.toString()) || refuses('metadata', path.toString()))
      return await tree.read(until < 0 ? paths : paths.slice(0, until), options, signal)
    },
    readDirectories: async (directories, options, signal) => tree.readDirectories(directories, options, signal),
    openFile: async (path, signal) => { check('open', path); return await tree.openFile(path, signal) },
    openSettled: async (files, signal) => (await Promise.all(files.map(async file => refuses('open', file.path.toString()) ? [refusal(file.path)] : tree.openSettled([file], signal)))).flat(),
    keepOpen: async keep => tree.keepOpen(keep),
    [Symbol.asyncDispose]: async () => undefined,
  }
  return refusing
}

function refusal(path: RelPath): AppError {
  return new AppError('SOURCE_UNREADABLE', `cannot read ${display(path)}: EIO`)
}
