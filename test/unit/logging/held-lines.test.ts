import t from 'tap'
import { HeldLines } from '../../../src/logging/held-lines.ts'

t.test('lines go through, wait while they are held by anybody, and come in their order', async t => {
  const written: string[] = []
  const lines = new HeldLines(line => { written.push(line) })
  lines.write('a')
  const [first, second] = [lines.hold(), lines.hold()]
  lines.write('b')
  first()
  first()
  lines.write('c')
  t.same(written, ['a'])
  second()
  lines.write('d')
  t.same(written, ['a', 'b', 'c', 'd'])
})

t.test('of too many lines the last are kept, and it is said how many are missing', async t => {
  const written: string[] = []
  const lines = new HeldLines(line => { written.push(line) })
  const release = lines.hold()
  for (let i = 0; i < 300; i++) lines.write(`${String(i)} ${'x'.repeat(1020)}`)
  release()
  const [missing, ...kept] = written
  t.equal((JSON.parse(missing ?? '') as { dropped: number }).dropped, 300 - kept.length)
  t.ok(kept.length >= 250 && kept.length < 300)
  t.match(kept.at(-1), /^299 /)
})
