import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { writeFileAtomically } from '../../../src/trust/atomic-file.ts'

t.test('a file is replaced whole, in a directory that need not be there, for the owner only', async t => {
  const path = join(t.testdir(), 'deep', 'er', 'file')
  await writeFileAtomically(path, 'one')
  await writeFileAtomically(path, 'two')
  t.equal(await readFile(path, 'utf8'), 'two')
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.equal((await stat(join(path, '..'))).mode & 0o777, 0o700)
})

t.test('a failed write leaves nothing beside', async t => {
  const directory = t.testdir()
  await mkdir(join(directory, 'taken'))
  await t.rejects(writeFileAtomically(join(directory, 'taken'), 'x'))
  t.same(await readdir(directory), ['taken'])
})
