import t from 'tap'
import { clean, fields, formatBytes, formatDuration, formatTime, paint, table } from '../../../src/cli/output.ts'

t.test('bytes are told in powers of 1024 with three digits', t => {
  t.same([0, 999, 1000, 1024, 10 * 1024, 1536 * 1024, 999.6 * 1024, 2 ** 40, 5 * 2 ** 50].map(formatBytes),
    ['0 B', '999 B', '0.98 KiB', '1.00 KiB', '10.0 KiB', '1.50 MiB', '0.98 MiB', '1.00 TiB', '5.00 PiB'])
  t.end()
})

t.test('durations are told with two units at most', t => {
  t.same([0, 850, 12_400, 185_000, 7_620_000, 276_000_000].map(formatDuration), ['0 ms', '850 ms', '12 s', '3 min 05 s', '2 h 07 min', '3 d 4 h'])
  t.equal(formatTime('2026-01-02T03:04:05.678Z'), '2026-01-02 03:04:05 UTC')
  t.equal(formatTime(undefined), '')
  t.end()
})

t.test('control characters and direction marks of other machines do not reach the terminal', t => {
  t.equal(clean('a\u001b[31mb\u0007c\u202ed\u009be'), 'a?[31mb?c?d?e')
  t.equal(clean('two\r\nlines'), 'two lines')
  t.end()
})

t.test('columns line up, colours take no room, and lines have no blanks at their end', t => {
  t.equal(table(['NAME', 'X'], [['a', 'one'], ['longer', '']]), 'NAME    X\na       one\nlonger\n')
  t.equal(table(['N', 'X'], [[{ text: 'ab', colour: 'red' }, 'y']], true), '\u001b[1mN\u001b[0m   \u001b[1mX\u001b[0m\n\u001b[31mab\u001b[0m  y\n')
  t.equal(table(['N'], []), 'N\n')
  t.end()
})

t.test('a colour is only used where it is wanted', t => {
  t.equal(paint('x', 'green', false), 'x')
  t.equal(paint('x', undefined, true), 'x')
  t.end()
})

t.test('fields line up and empty ones are left out', t => {
  t.equal(fields([['A', '1'], ['Longer', '2'], ['Empty', ''], ['None', undefined]]), 'A:       1\nLonger:  2\n')
  t.end()
})
