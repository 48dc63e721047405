/** What every capture promises (src/capture/change-source.ts), shown on a directory that really changes. */
import { appendFileSync, chmodSync, linkSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Change, ChangeSource } from '../../src/capture/change-source.ts'

export interface Captured extends AsyncDisposable {
  directory: string
  source: ChangeSource
  /** Tells a capture that cannot see by itself what was done. */
  did: (kind: 'entry' | 'data' | 'metadata', path: string) => void
}

t.setTimeout(200_000)
const signal = AbortSignal.timeout(180_000)

/** Kinds by path, sorted. */
function said(changes: readonly Change[]): string[] {
  return changes.map(change => `${change.kind} ${'path' in change ? change.path.toString() : ''}`).sort()
}

/** Runs the contract against what `open` returns: volume 5, whose directory holds `old` and `below/inner`. */
export function changeSourceContract(name: string, open: () => Promise<Captured>, skip: string | false = false): void {
  void t.test(`ChangeSource contract: ${name}`, { skip }, async t => {
    await t.test('nothing is taken when nothing happened', async t => {
      await using captured = await open()
      t.same(await captured.source.take(signal), [])
      t.same(captured.source.pending(), { count: 0, oldestAtMs: undefined })
    })
    await t.test('a new file, changed data and changed attributes are told apart and joined', async t => {
      await using captured = await open()
      const { directory, source, did } = captured
      writeFileSync(join(directory, 'new'), 'a'); did('entry', 'new'); did('data', 'new')
      appendFileSync(join(directory, 'old'), 'b'); did('data', 'old')
      appendFileSync(join(directory, 'old'), 'c'); did('data', 'old')
      chmodSync(join(directory, 'below'), 0o700); did('metadata', 'below')
      const changes = await source.take(signal)
      t.same(said(changes), ['data old', 'entry new', 'metadata below'])
      t.ok(changes.every(change => change.volume === 5))
      t.same(await source.take(signal), [], 'and once only')
    })
    await t.test('a rename marks both names, a removal its name', async t => {
      await using captured = await open()
      const { directory, source, did } = captured
      renameSync(join(directory, 'old'), join(directory, 'below', 'moved')); did('entry', 'old'); did('entry', 'below/moved')
      rmSync(join(directory, 'below', 'inner')); did('entry', 'below/inner')
      t.same(said(await source.take(signal)), ['entry below/inner', 'entry below/moved', 'entry old'])
    })
    await t.test('what was put back comes again, with the time it had', async t => {
      await using captured = await open()
      const { directory, source, did } = captured
      writeFileSync(join(directory, 'new'), 'a'); did('entry', 'new')
      const first = await source.take(signal)
      source.putBack(first)
      t.equal(source.pending().count, first.length)
      t.equal(source.pending().oldestAtMs, Math.min(...first.map(({ atMs }) => atMs)))
      t.strictSame(await source.take(signal), first)
    })
    await t.test('a walk finds by change time what no event told, and all names of an object', async t => {
      await using captured = await open()
      const { directory, source, did } = captured
      const sinceNs = await source.settle(5, signal)
      linkSync(join(directory, 'old'), join(directory, 'below', 'again')); did('entry', 'below/again')
      mkdirSync(join(directory, 'made')); did('entry', 'made')
      const found: string[] = []
      for await (const page of source.changedSince(5, sinceNs, { frozen: false }, signal)) found.push(...page.map(({ path, type }) => `${type} ${path.toString()}`))
      for (const expected of ['file old', 'file below/again', 'directory made']) t.ok(found.includes(expected), expected)
      const { ino } = statSync(join(directory, 'old'), { bigint: true })
      const names = await source.namesOf(5, [ino], { frozen: false }, signal)
      t.same((names.get(ino) ?? []).map(String).sort(), ['below/again', 'old'])
    })
    await t.test('an aborted signal is heeded, and disposing twice is fine', async t => {
      await using captured = await open()
      await t.rejects(captured.source.take(AbortSignal.abort()), { name: 'AbortError' })
      await captured.source[Symbol.asyncDispose]()
    })
  })
}
