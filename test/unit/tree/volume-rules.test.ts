import t from 'tap'
import fc from 'fast-check'
import { parseRelPath, ROOT_PATH, type RelPath } from '../../../src/domain/rel-path.ts'
import type { Rule } from '../../../src/domain/rule.ts'
import { compileRules, type Place } from '../../../src/tree/volume-rules.ts'
import { propertyRuns } from '../../seed.ts'

const path = (text: string): RelPath => parseRelPath(Buffer.from(text))
const include = (pattern: string, recursive = true): Rule => ({ kind: 'include', pattern, recursive })
const exclude = (pattern: string, recursive = true): Rule => ({ kind: 'exclude', pattern, recursive })

/** the place of each path; a slash at the end says that it is a directory */
function places(rules: Rule[], at: string, ...paths: string[]): Place[] {
  const compiled = compileRules(rules, at)
  return paths.map(text => compiled.placeOf(path(text.replace(/\/$/, '')), text.endsWith('/')))
}

t.test('without rules everything is inside', async t => {
  t.same(places([], '/', 'a/', 'a/b'), ['inside', 'inside'])
  t.equal(compileRules([]).all, true)
})

t.test('an exclude covers what it matches and all that is below', async t => {
  t.same(places([exclude('/a/b')], '/', 'a/', 'a/b', 'a/b/', 'a/b/c/d', 'b', 'x/a/b'), ['inside', 'excluded', 'excluded', 'excluded', 'inside', 'inside'])
  t.same(places([exclude('a/b')], '/', 'x/a/b/c', 'a/b', 'a/x/b'), ['excluded', 'excluded', 'inside'])
  t.same(places([exclude('*.tmp')], '/', 'x.tmp', 'd/e/x.tmp', 'x.tmp/y', 'x.tmpl'), ['excluded', 'excluded', 'excluded', 'inside'])
  t.same(places([exclude('cache/')], '/', 'cache/', 'cache', 'd/cache/x', 'd/cache'), ['excluded', 'inside', 'excluded', 'inside'])
  t.same(places([exclude('/')], '/', 'a', 'a/b'), ['excluded', 'excluded'])
})

t.test('a rule that is not recursive covers the files of a directory, not what is below its directories', async t => {
  t.same(places([exclude('/a', false)], '/', 'a/', 'a/f', 'a/d/', 'a/d/f'), ['inside', 'excluded', 'inside', 'inside'])
  t.same(places([include('/a', false)], '/', 'a/', 'a/f', 'a/d/', 'a/d/f', 'b'), ['inside', 'inside', 'unmatched', 'unmatched', 'unmatched'])
  t.same(places([include('/', false)], '/', 'f', 'd/', 'd/f'), ['inside', 'unmatched', 'unmatched'])
})

t.test('a wider rule of a kind makes the others of that kind superfluous, and the kinds both apply in any order', async t => {
  const paths = ['a/', 'a/x', 'a/b/', 'a/b/d/x', 'a/c/', 'a/c/k/', 'c'] as const
  const expected: Place[] = ['inside', 'inside', 'inside', 'inside', 'excluded', 'excluded', 'unmatched']
  const rules = [include('/a'), include('/a/b', false), exclude('/a/c'), include('/a/c/k')]
  t.same(places(rules, '/', ...paths), expected)
  t.same(places(rules.toReversed(), '/', ...paths), expected)
})

t.test('directories that lead to what an include may match stay', async t => {
  t.same(places([include('/a/b/*.txt')], '/', 'a/', 'a/b/', 'a/b/c/', 'a/b/x.txt', 'a/b/x', 'a/x.txt', 'd/'), ['way', 'way', 'unmatched', 'inside', 'unmatched', 'unmatched', 'unmatched'])
  t.same(places([include('*.txt')], '/', 'd/', 'd/e/', 'd/e/x.txt', 'd/e/x', 'd.txt/', 'd.txt/x'), ['way', 'way', 'inside', 'unmatched', 'inside', 'inside'])
  t.same(places([include('/a/**/z')], '/', 'a/', 'a/b/c/', 'a/z', 'a/b/z', 'b/'), ['way', 'way', 'inside', 'inside', 'unmatched'])
})

t.test('anchored patterns begin at the root of the source, not of the volume', async t => {
  t.same(places([exclude('/data/cache')], '/data', 'cache', 'data/cache'), ['excluded', 'inside'])
  t.same(places([exclude('/data/cache')], '/', 'cache', 'data/cache'), ['inside', 'excluded'])
  t.same(places([exclude('/data')], '/data', 'x'), ['excluded'])
  t.same(places([include('/data')], '/data', 'x', 'd/e'), ['inside', 'inside'])
  t.same(places([include('/srv')], '/data', 'x', 'd/'), ['unmatched', 'unmatched'])
})

t.test('mount points of other volumes stay though a rule covers them', async t => {
  const compiled = compileRules([exclude('/srv')], '/', [path('srv/data')])
  t.equal(compiled.placeOf(path('srv'), true), 'way')
  t.equal(compiled.placeOf(path('srv/data'), true), 'way')
  t.equal(compiled.placeOf(path('srv/data/x'), false), 'excluded')
  t.equal(compiled.placeOf(path('srv/other'), true), 'excluded')
  t.equal(compiled.at(path('srv')).reach, 'some')
})

t.test('what is excluded is left alone on the replica; what no include matches only without a wildcard', async t => {
  t.equal(compileRules([exclude('*.x')]).leavesAlone('excluded'), true)
  t.equal(compileRules([include('/a')]).leavesAlone('unmatched'), true)
  t.equal(compileRules([include('*.c'), include('/a')]).leavesAlone('unmatched'), false)
  t.equal(compileRules([include('*.c')]).leavesAlone('inside'), false)
})

t.test('a directory that no rule can touch is told', async t => {
  const compiled = compileRules([exclude('/var/cache'), exclude('/home/*/tmp')])
  t.equal(compiled.at(ROOT_PATH).reach, 'some')
  t.equal(compiled.at(path('usr')).reach, 'all')
  t.equal(compiled.at(path('usr')).guards, false)
  t.equal(compiled.at(path('var')).reach, 'some')
  t.equal(compiled.at(path('var/lib')).reach, 'all')
  t.equal(compiled.at(path('var/cache')).reach, 'none')
  t.equal(compiled.at(path('home/u')).reach, 'some')
  t.equal(compiled.at(path('home/u/x')).reach, 'all')
  t.equal(compileRules([include('/a')]).at(path('a/b')).reach, 'all')
  t.equal(compileRules([include('/a')]).at(path('b')).reach, 'none')
})

const step = fc.constantFrom('a', 'b', 'ab', 'a*', '*', '?', '**', '[!a]')
const pattern = fc.tuple(fc.boolean(), fc.array(step, { minLength: 1, maxLength: 4 }), fc.boolean()).map(([anchored, steps, slash]) => `${anchored ? '/' : ''}${steps.join('/')}${slash ? '/' : ''}`)
const rule: fc.Arbitrary<Rule> = fc.record({ kind: fc.constantFrom('include' as const, 'exclude' as const), pattern, recursive: fc.boolean() })
const names = fc.array(fc.constantFrom('a', 'b', 'ab', 'ba'), { minLength: 1, maxLength: 4 })

/** The definition of domain/rule.ts, word by word and slowly. */
function naivelyCovers({ pattern: text, recursive, kind }: Rule, steps: readonly string[], isDirectory: boolean): boolean {
  const source = text.replace(/^\/|\/$/g, '').split('/').map(one => (one === '**' ? '(?:[^/]+/)*' : `${one.replace('*', '[^/]*').replace('?', '[^/]').replace('[!', '[^')}/`)).join('')
  const expression = new RegExp(`^${text.startsWith('/') ? '' : '(?:[^/]+/)*'}${source}$`)
  const matches = (count: number): boolean => (count < steps.length || isDirectory || !text.endsWith('/')) && expression.test(steps.slice(0, count).map(one => `${one}/`).join(''))
  if (recursive) return steps.some((_, i) => matches(i)) || matches(steps.length)
  if (matches(steps.length)) return kind === 'include' || !isDirectory
  return !isDirectory && matches(steps.length - 1)
}

t.test('the compiled rules answer as the definition does', async () => {
  fc.assert(fc.property(fc.array(rule, { minLength: 1, maxLength: 4 }), names, fc.boolean(), (rules, steps, isDirectory) => {
    const place = compileRules(rules).placeOf(path(steps.join('/')), isDirectory)
    const excluded = rules.some(one => one.kind === 'exclude' && naivelyCovers(one, steps, isDirectory))
    const includes = rules.filter(one => one.kind === 'include')
    const included = includes.length === 0 || includes.some(one => naivelyCovers(one, steps, isDirectory))
    if (excluded) return place === 'excluded'
    return included ? place === 'inside' : place === 'unmatched' || (isDirectory && place === 'way')
  }), propertyRuns(20_000))
})

t.test('what a directory says of what is below it is true, and whatever is inside has a way to it', async () => {
  fc.assert(fc.property(fc.array(rule, { minLength: 1, maxLength: 4 }), names, fc.boolean(), fc.boolean(), (rules, steps, isDirectory, mounted) => {
    const compiled = compileRules(rules, mounted ? '/a' : '/')
    const place = compiled.placeOf(path(steps.join('/')), isDirectory)
    for (let depth = 0; depth < steps.length; depth++) {
      const directory = path(steps.slice(0, depth).join('/'))
      const { reach, guards } = compiled.at(directory)
      if (reach === 'all' && place !== 'inside') return false
      if (reach === 'none' && (place === 'inside' || place === 'way')) return false
      if (!guards && compiled.leavesAlone(place)) return false
      if (place === 'inside' && depth > 0 && !['inside', 'way'].includes(compiled.placeOf(directory, true))) return false
    }
    return true
  }), propertyRuns(20_000))
})
