/** A drain that brings the source to rest first, over the link, and what becomes of the source when it fails. */
import t from 'tap'
import type { RelPath } from '../../../src/domain/rel-path.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { QuiesceNote } from '../../../src/wire/messages.ts'
import type { ListingPage } from '../../../src/wire/listing-codec.ts'
import { at, change, contentOf, converse, file, ROOTS, soon, TestSource } from './conversation.ts'

const nothing = (): void => undefined
const targetsOf = (tree: MemoryTree): ReadonlyMap<number, MemoryTree> => new Map([[1, tree]])
const QUIESCE = { scripts: [], services: ['web', 'db'] }

/** Notes what is done; what is written last is written by the script. */
class Rest {
  readonly did: string[] = []
  fail: AppError | undefined
  onQuiesce: () => Promise<void> = async () => undefined
  async quiesce(_: unknown, note: (note: QuiesceNote) => Promise<void>): Promise<number> {
    this.did.push('stop')
    await this.onQuiesce()
    await note({ kind: 'services-stopped', message: 'web, db' })
    if (this.fail !== undefined) throw this.fail
    return 1000
  }
  async restore(): Promise<QuiesceNote[]> {
    if (this.did.at(-1) !== 'stop') return []
    this.did.push('start')
    return [{ kind: 'services-started', message: 'started again: db, web' }]
  }
  async finish(): Promise<void> { this.did.push('finish') }
}

/** Looks at it wait for the thaw, as often as told. */
class HangingTree extends MemoryTree {
  hangs = 0
  frozen: () => AbortSignal | undefined = () => undefined
  override async look(path: RelPath, signal: AbortSignal): Promise<ListingPage | undefined> {
    const thawed = this.frozen()
    if (thawed !== undefined && !thawed.aborted && this.hangs > 0) {
      this.hangs--
      await new Promise(resolve => { thawed.addEventListener('abort', resolve, { once: true }) })
    }
    return await super.look(path, signal)
  }
}

t.test('scripts and services come before the freeze, what they write arrives, and thawing undoes them', async t => {
  const rest = new Rest()
  await using source = new TestSource({ quiescer: rest })
  rest.onQuiesce = async () => {
    t.equal(source.freezes.length, 0, 'nothing is frozen yet')
    await change(source.tree, file('last', 'written by a service that stops'))
    source.changes.mark({ kind: 'entry', volume: 1, path: at('last'), atMs: Date.now() })
  }
  await using talk = await converse(source)
  const target = new MemoryTree()
  await talk.server.prepare('job-1', ROOTS, [], soon())
  const notes: string[] = []
  const report = await talk.server.drain({ freeze: true, holdMs: 30_000, quiesce: QUIESCE, note: async ({ message }) => { notes.push(message) } }, targetsOf(target), nothing, soon())
  t.match(report, { stoppedAtMs: 1000, frozenAtMs: 1234 })
  t.same(await contentOf(target), { last: 'written by a service that stops' })
  t.same(notes, ['web, db'])
  t.same(await talk.server.thaw(soon()), [{ kind: 'services-started', message: 'started again: db, web' }])
  t.same(rest.did, ['stop', 'start'])
})

t.test('a service that does not stop ends the drain before the freeze, and is told with what runs again', async t => {
  const rest = new Rest()
  rest.fail = new AppError('SERVICE_STOP_FAILED', 'cannot stop db')
  await using source = new TestSource({ quiescer: rest })
  await using talk = await converse(source)
  await talk.server.prepare('job-1', ROOTS, [], soon())
  const notes: string[] = []
  await t.rejects(
    talk.server.drain({ freeze: true, holdMs: 30_000, quiesce: QUIESCE, note: async ({ message }) => { notes.push(message) } }, targetsOf(new MemoryTree()), nothing, soon()),
    { code: 'SERVICE_STOP_FAILED', message: 'cannot stop db' },
  )
  t.equal(source.freezes.length, 0)
  t.same(notes, ['web, db', 'started again: db, web'])
})

t.test('a link that is lost while the source is at rest leaves it running', async t => {
  const rest = new Rest()
  await using source = new TestSource({ quiescer: rest })
  const talk = await converse(source)
  await talk.server.prepare('job-1', ROOTS, [], soon())
  rest.onQuiesce = async () => { await talk.links.agent[Symbol.asyncDispose]() }
  await t.rejects(talk.server.drain({ freeze: true, holdMs: 30_000, quiesce: QUIESCE }, targetsOf(new MemoryTree()), nothing, soon()), { code: 'LINK_LOST' })
  await talk[Symbol.asyncDispose]()
  t.same(rest.did, ['stop', 'start'])
  t.not(source.freezes.at(-1)?.state, 'frozen')
})

t.test('behind a complete cutover a source that is let go keeps its services stopped', async t => {
  const rest = new Rest()
  await using source = new TestSource({ quiescer: rest })
  await using talk = await converse(source)
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await talk.server.drain({ freeze: true, holdMs: 30_000, quiesce: QUIESCE }, targetsOf(new MemoryTree()), nothing, soon())
  await talk.server.release(soon(), { completed: true })
  t.same(rest.did, ['stop', 'finish'])
  t.equal(source.freezes[0]?.state, 'thawed')
})

for (const { hangs, code } of [{ hangs: 1, code: undefined }, { hangs: 3, code: 'DRAIN_STUCK' }]) {
  t.test(`a frozen drain that hangs ${String(hangs)} times thaws each time, and ${code === undefined ? 'works then' : `fails with ${code}`}`, async t => {
    const tree = new HangingTree()
    await change(tree, file('one', 'one'))
    await using source = new TestSource({ openTree: async () => tree })
    tree.frozen = () => source.freezes.at(-1)?.thawed
    await using talk = await converse(source)
    const target = new MemoryTree()
    await talk.server.prepare('job-1', ROOTS, [], soon())
    tree.hangs = hangs
    source.onFreeze = () => { source.changes.mark({ kind: 'entry', volume: 1, path: at('one'), atMs: Date.now() }) }
    const drain = talk.server.drain({ freeze: true, holdMs: 400 }, targetsOf(target), nothing, soon())
    if (code === undefined) {
      await drain
      t.same(await contentOf(target), { one: 'one' })
      t.same(source.freezes.map(({ state }) => state), ['thawed', 'frozen'])
    } else {
      await t.rejects(drain, { code })
      t.same(source.freezes.map(({ state }) => state), ['thawed', 'thawed', 'thawed'])
    }
  })
}
