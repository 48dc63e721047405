import t from 'tap'
import type { Rule } from '../../../src/domain/rule.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { ruledSourceTree } from '../../../src/tree/ruled-source-tree.ts'
import type { SourceTree } from '../../../src/tree/source-tree.ts'
import { compileRules } from '../../../src/tree/volume-rules.ts'
import { listingEntries } from '../../../src/wire/listing-codec.ts'
import { decodeOperations } from '../../../src/wire/operation-codec.ts'
import { ROOT_PATH } from '../../../src/domain/rel-path.ts'
import { apply, directory, entry, file, rel } from '../../zoo/tree-pair.ts'

const signal = new AbortController().signal
const OPTIONS = { smallFileBytes: 1 << 20, maxBatchBytes: 1 << 20 }
const exclude = (...patterns: string[]): Rule[] => patterns.map(pattern => ({ kind: 'exclude', pattern, recursive: true }))

async function tree(): Promise<MemoryTree> {
  const memory = new MemoryTree()
  await apply(memory, directory('a'), file('a/x', 'x'), file('a/y.tmp', 'y'), directory('a/cache'), file('a/cache/z', 'z'), directory('b'), file('b/x', 'x'), file('f', 'f'))
  return memory
}

async function names(of: SourceTree, path: string): Promise<string[]> {
  const found: string[] = []
  for await (const page of of.list(rel(path), signal)) for (const one of listingEntries(page)) found.push(one.name.toString())
  return found
}

t.test('excluded names are as if they were not there', async t => {
  const ruled = ruledSourceTree(await tree(), compileRules(exclude('*.tmp', 'cache/')))
  t.same(await names(ruled, ''), ['a', 'b', 'f'])
  t.same(await names(ruled, 'a'), ['x'])
  t.same(await names(ruled, 'a/cache'), [])
  t.equal(await entry(ruled, 'a/y.tmp'), undefined)
  t.equal((await entry(ruled, 'a/x'))?.type, 'file')
  t.equal((await entry(ruled, ''))?.type, 'directory')
  await t.rejects(ruled.openFile(rel('a/cache/z'), signal), { code: 'SOURCE_MISSING' })
  t.equal(await ruled.readMetadata(rel('a/cache'), signal), undefined)
  t.ok(await ruled.readMetadata(ROOT_PATH, signal))
  const listed: [number, string[], boolean][] = []
  for await (const { directory: number, page, last } of ruled.listAll([rel('a'), rel('b')], signal)) listed.push([number, [...listingEntries(page)].map(e => e.name.toString()), last])
  t.same(listed, [[0, ['x'], false], [0, [], true], [1, ['x'], false], [1, [], true]])
})

t.test('directories in which nothing is kept out are read whole, the first other one is left to be listed', async t => {
  const ruled = ruledSourceTree(await tree(), compileRules(exclude('*.tmp')))
  const read = await ruled.readDirectories([rel('b'), rel('a/cache'), rel('a')], OPTIONS, signal)
  t.equal(read.directories.length, 2)
  t.same([...decodeOperations(read.batch)].map(o => o.path.toString()), ['b/x', 'b', 'a/cache/z', 'a/cache'])
  const dirty = await ruled.readDirectories([rel('a'), rel('b')], OPTIONS, signal)
  t.equal(dirty.directories.length, 0)
  t.equal(dirty.batch.length, 0)
})

t.test('what no rule can touch is passed on without a look', async t => {
  const memory = await tree()
  let looks = 0
  const counting: SourceTree = Object.create(memory, { listAll: { value: (...args: Parameters<SourceTree['listAll']>) => {
    looks++
    return memory.listAll(...args)
  } } }) as SourceTree
  counting.readDirectories = memory.readDirectories.bind(memory)
  const ruled = ruledSourceTree(counting, compileRules(exclude('/a/cache')))
  t.equal((await ruled.readDirectories([rel('b')], OPTIONS, signal)).directories.length, 1)
  t.equal(looks, 0)
})

t.test('what comes between looking and reading is not sent', async t => {
  const memory = await tree()
  const late: SourceTree = Object.create(memory, {
    listAll: { value: memory.listAll.bind(memory) },
    readDirectories: { value: async (...args: Parameters<SourceTree['readDirectories']>) => {
      await apply(memory, file('b/a.tmp', 'late'), file('b/z.tmp', 'late'), directory('b/d.tmp'), directory('b/e'))
      return await memory.readDirectories(...args)
    } },
  }) as SourceTree
  const read = await ruledSourceTree(late, compileRules(exclude('*.tmp'))).readDirectories([rel('b')], OPTIONS, signal)
  t.same([...decodeOperations(read.batch)].map(o => o.path.toString()), ['b/e', 'b/x', 'b'])
  t.same(read.directories.map(({ page }) => [...listingEntries(page)].map(e => e.name.toString())), [['e']])
})
