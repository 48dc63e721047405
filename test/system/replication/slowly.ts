/** What a busy machine does to a replicator: time passes before and behind some of its calls, in which the source changes. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChangeSource } from '../../../src/capture/change-source.ts'
import type { SourceTree } from '../../../src/tree/source-tree.ts'

const LONGEST_MS = 5
/** of the calls, before and behind each */
const SHARE = 0.3

export function looksSlowly(tree: SourceTree): SourceTree {
  return slowly(tree, ['lookAll', 'read', 'readMetadata', 'readMetadataAll', 'openFile', 'openSettled'])
}

export function tellsSlowly(changes: ChangeSource): ChangeSource {
  return slowly(changes, ['take', 'peek', 'looksEnded', 'namesOf'])
}

function slowly<Parts extends object>(parts: Parts, calls: readonly (keyof Parts)[]): Parts {
  const slow = new Set<PropertyKey>(calls)
  return new Proxy(parts, {
    get: (target, key): unknown => {
      const own: unknown = Reflect.get(target, key)
      if (typeof own !== 'function') return own
      const call = own.bind(target) as (...given: unknown[]) => unknown
      return slow.has(key) ? async (...given: unknown[]) => {
        await pause()
        const answer = await call(...given)
        await pause()
        return answer
      } : call
    },
  })
}

async function pause(): Promise<void> {
  if (Math.random() < SHARE) await sleep(Math.random() * LONGEST_MS)
}
