import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ChangedObject } from '../../src/capture/change-source.ts'
import { createMemoryChangeSource } from '../../src/capture/memory-change-source.ts'
import { parseRelPath } from '../../src/domain/rel-path.ts'
import { changeSourceContract } from './change-source.contract.ts'

function* objectsBelow(directory: string): Generator<ChangedObject> {
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const stat = lstatSync(join(directory, name), { bigint: true })
    yield {
      path: parseRelPath(Buffer.from(name)), type: stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : 'other',
      inode: stat.ino, linkCount: Number(stat.nlink), ctimeNs: stat.ctimeNs,
    }
  }
}

changeSourceContract('memory', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-changes-'))
  mkdirSync(join(directory, 'below'))
  writeFileSync(join(directory, 'old'), 'old')
  writeFileSync(join(directory, 'below', 'inner'), 'inner')
  // 20 ms: the tick of the clock that change times are taken from
  const source = createMemoryChangeSource({ objects: () => objectsBelow(directory), now: () => Date.now() - 20 })
  return {
    directory, source,
    did: (kind, path) => { source.mark({ kind, volume: 5, path: parseRelPath(Buffer.from(path)), atMs: Date.now() }) },
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true })
    },
  }
})
