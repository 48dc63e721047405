import t from 'tap'
import { textDiff } from '../../../src/replica/text-diff.ts'

const lines = (...all: string[]): string => all.map(l => `${l}\n`).join('')

t.test('changed lines are shown with those around them', async t => {
  t.equal(textDiff('a\n', 'a\n', 1000), '')
  t.equal(textDiff(lines('1', '2', '3', '4', '5', '6', '7'), lines('1', '2', '3', 'x', '5', '6', '7'), 1000), ' 2\n 3\n-4\n+x\n 5\n 6\n')
  t.equal(textDiff(lines('a', '1', '2', '3', '4', '5', '6', 'b'), lines('A', '1', '2', '3', '4', '5', '6', 'B'), 1000), '-a\n+A\n 1\n 2\n...\n 5\n 6\n-b\n+B\n')
  t.equal(textDiff('', 'new\n', 1000), '+new\n')
  t.equal(textDiff('old\n', '', 1000), '-old\n')
})

t.test('what is put together from the diff is the new text', async t => {
  for (const [before, after] of [[lines('a', 'b', 'c'), lines('b', 'x', 'c')], [lines('a', 'a', 'b'), lines('b', 'a', 'a')], [lines('x'), lines('y', 'x', 'z')]] as const) {
    const diff = textDiff(before, after, 1000).split('\n').filter(Boolean)
    t.equal(diff.filter(l => !l.startsWith('-')).map(l => `${l.slice(1)}\n`).join(''), after)
    t.equal(diff.filter(l => !l.startsWith('+')).map(l => `${l.slice(1)}\n`).join(''), before)
  }
})

t.test('it has a limit, whatever the texts are', async t => {
  const many = Array.from({ length: 5000 }, (_, i) => `line ${String(i)}`)
  const diff = textDiff(lines(...many), lines(...many.map(l => `${l}x`)), 2000)
  t.ok(diff.length <= 2000)
  t.match(diff, /\.\.\.\n$/)
})
