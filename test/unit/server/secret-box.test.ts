import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { SecretBox } from '../../../src/server/secret-box.ts'

t.test('a sealed secret opens with the key of the file, also in the next process', async t => {
  const path = join(t.testdir(), 'key')
  const sealed = (await SecretBox.open(path)).seal('pässword', 'vmware 1')
  t.notMatch(Buffer.from(sealed, 'base64').toString('latin1'), /word/)
  t.equal((await SecretBox.open(path)).open(sealed, 'vmware 1'), 'pässword')
})

t.test('the key file can be read by its owner only', async t => {
  const path = join(t.testdir(), 'key')
  await SecretBox.open(path)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.equal((await readFile(path)).length, 32)
})

t.test('equal secrets do not look equal', async t => {
  const box = await SecretBox.open(join(t.testdir(), 'key'))
  t.not(box.seal('a', 'x'), box.seal('a', 'x'))
})

t.test('a secret that was changed, moved to another record, or sealed with another key does not open', async t => {
  const directory = t.testdir()
  const box = await SecretBox.open(join(directory, 'key'))
  const sealed = box.seal('secret', 'vmware 1')
  const bytes = Buffer.from(sealed, 'base64')
  bytes.writeUInt8(bytes.readUInt8(14) ^ 1, 14)
  t.throws(() => box.open(bytes.toString('base64'), 'vmware 1'), { code: 'STORE_INVALID' })
  t.throws(() => box.open(sealed, 'vmware 2'), { code: 'STORE_INVALID' })
  t.throws(() => box.open('', 'vmware 1'), { code: 'STORE_INVALID' })
  const other = await SecretBox.open(join(directory, 'other'))
  t.throws(() => other.open(sealed, 'vmware 1'), { code: 'STORE_INVALID' })
})

t.test('a key file of another size is refused, not replaced', async t => {
  const path = join(t.testdir(), 'key')
  await writeFile(path, 'short')
  await t.rejects(SecretBox.open(path), { code: 'STORE_INVALID' })
  t.equal(await readFile(path, 'utf8'), 'short')
})
