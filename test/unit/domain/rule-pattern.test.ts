import t from 'tap'
import fc from 'fast-check'
import { checkRules, MAX_RULES, type Rule } from '../../../src/domain/rule.ts'
import { matchesName, parsePattern, type Glob } from '../../../src/domain/rule-pattern.ts'
import { propertyRuns } from '../../seed.ts'

const globs = (pattern: string): readonly Glob[] => {
  const [step] = parsePattern(pattern).steps
  if (typeof step === 'symbol' || step === undefined) throw new Error('one step expected')
  return typeof step === 'string' ? [...Buffer.from(step, 'latin1')] : step
}
const matches = (pattern: string, name: string | Buffer): boolean => matchesName(globs(pattern), Buffer.from(name).toString('latin1'))

t.test('a pattern matches names byte by byte', async t => {
  const cases: [string, string | Buffer, boolean][] = [
    ['*.log', 'a.log', true], ['*.log', '.log', true], ['*.log', 'a.log.1', false], ['*', '.hidden', true], ['?', 'a', true], ['?', '', false], ['a?c', 'abc', true],
    ['[a-c]x', 'bx', true], ['[!a-c]x', 'bx', false], ['[^a-c]x', 'dx', true], ['[]]', ']', true], ['[]-]', '-', true], ['[a-]', '-', true], ['[\\]x]', ']', true],
    ['\\*', '*', true], ['\\*', 'a', false], ['\\\\', '\\', true], ['\\xff*', Buffer.from([0xff, 0x41]), true], ['\\xc3\\xa9', 'é', true], ['é*', 'été', true], ['*é', 'été', true], ['ét?', 'été', false],
    ['-rf', '-rf', true], ['-*', '-x', true], ['a\nb', 'a\nb', true], ['a b', 'a b', true], ['??', 'é', true], ['[\\xc0-\\xff]?', 'é', true], ['a**b', 'axyb', true], ['***', 'x', true],
    ['*a*b*c', 'xaxbxc', true], ['*a*b*c', 'xaxcxb', false], ['\\.x', '.x', true],
  ]
  for (const [pattern, name, expected] of cases) t.equal(matches(pattern, name), expected, `${pattern} on ${name.toString()}`)
})

t.test('a pattern that could match nothing, or not what it seems to, is refused with its own code', async t => {
  const bad = ['', 'a//b', '//', '//a', './a', 'a/./b', '..', '../a', '/..', 'a/../b', '[', '[a', '[a/b]', '[b-a]', '[é]', '[]', '\\', 'a\\', '\\q', '\\x1', '\\xzz', '\\x00', '\\x2f', '\\/', 'a\u0000b', 'x'.repeat(256), '\ud800',
    `/${'a/'.repeat(200)}`, 'y'.repeat(20_000)]
  for (const pattern of bad) t.throws(() => parsePattern(pattern), { code: 'RULE_INVALID' }, JSON.stringify(pattern.slice(0, 40)))
  const good = ['/', '/a', 'a/b', 'a/', '**', '/**', '**/x', 'a/**/b', '...', '[!]]', 'x'.repeat(255), '/ ', '\\[']
  for (const pattern of good) t.doesNotThrow(() => parsePattern(pattern), pattern)
})

t.test('too many rules, and rules that are too long together, are refused', async t => {
  const rule = (pattern: string): Rule => ({ kind: 'exclude', pattern, recursive: true })
  t.doesNotThrow(() => { checkRules(Array.from({ length: MAX_RULES }, (_, i) => rule(`x${String(i)}`))) })
  t.throws(() => { checkRules(Array.from({ length: MAX_RULES + 1 }, (_, i) => rule(`x${String(i)}`))) }, { code: 'RULE_INVALID' })
  t.throws(() => { checkRules(Array.from({ length: 300 }, () => rule('x'.repeat(250)))) }, { code: 'RULE_INVALID' })
  t.throws(() => { checkRules([rule('ok'), rule('[')]) }, { code: 'RULE_INVALID' })
})

/** What a star and a question mark mean, told naively. */
function naive(pattern: string, name: string): boolean {
  const [first] = pattern
  if (first === undefined) return name === ''
  if (first === '*') return naive(pattern.slice(1), name) || (name !== '' && naive(pattern, name.slice(1)))
  return name !== '' && (first === '?' || first === name[0]) && naive(pattern.slice(1), name.slice(1))
}

t.test('matching answers as the naive definition does', async () => {
  const text = (alphabet: readonly string[], most: number): fc.Arbitrary<string> => fc.array(fc.constantFrom(...alphabet), { minLength: 1, maxLength: most }).map(all => all.join(''))
  fc.assert(fc.property(text(['a', 'b', '*', '?'], 8), text(['a', 'b'], 10), (pattern, name) => (pattern === '**' ? true : matches(pattern, name) === naive(pattern, name))), propertyRuns(5000))
})

t.test('a pattern made to be slow is not', async t => {
  const began = performance.now()
  for (let i = 0; i < 200; i++) matches(`${'*a'.repeat(60)}b`, 'a'.repeat(255))
  t.ok(performance.now() - began < 2000)
})

t.test('any text is a pattern or is refused with the code', async () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), pattern => {
    try {
      parsePattern(pattern)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'RULE_INVALID')) throw error
    }
  }), propertyRuns(3000))
})
