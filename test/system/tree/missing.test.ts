import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'

const signal = new AbortController().signal

void t.test('a root that is missing or no directory is told by its side', async t => {
  const base = t.testdir()
  writeFileSync(join(base, 'file'), '')
  for (const path of [join(base, 'missing'), join(base, 'file')]) {
    await t.rejects(openPosixSourceTree(path, signal), { code: 'SOURCE_MISSING' })
    await t.rejects(openPosixTargetTree(path, signal), { code: 'REPLICA_ROOT_MISSING' })
  }
})
