import t from 'tap'
import { SourceRegistry } from '../../../src/source/connected-sources.ts'
import { converse, soon, TestSource } from './conversation.ts'

t.test('who waits for a source gets it when it connects, and at once when it is there', async t => {
  await using source = new TestSource()
  await using registry = new SourceRegistry()
  const waiting = [registry.waitFor('source-1', soon()), registry.waitFor('source-1', soon())]
  t.equal(registry.find('source-1'), undefined)
  const { server } = await converse(source)
  await registry.add(server)
  for (const waited of waiting) t.equal(await waited, server)
  t.equal(await registry.waitFor('source-1', soon()), server)
})

t.test('an aborted wait ends, the others go on', async t => {
  await using source = new TestSource()
  await using registry = new SourceRegistry()
  const stop = new AbortController()
  const given = registry.waitFor('source-1', stop.signal)
  const kept = registry.waitFor('source-1', soon())
  stop.abort()
  await t.rejects(given, { name: 'AbortError' })
  await t.rejects(registry.waitFor('source-1', stop.signal), { name: 'AbortError' })
  const { server } = await converse(source)
  await registry.add(server)
  t.equal(await kept, server)
})

t.test('a source whose connection ended, or that was dropped, is not found', async t => {
  await using source = new TestSource()
  await using registry = new SourceRegistry()
  const cut = await converse(source)
  await registry.add(cut.server)
  cut.links.cut()
  await cut.session.catch(() => undefined)
  await cut.server[Symbol.asyncDispose]()
  t.equal(registry.find('source-1'), undefined)
  await registry.add(cut.server)
  t.equal(registry.find('source-1'), undefined, 'nor one that ended before it was added')
  const { server } = await converse(source)
  await registry.add(server)
  await registry.drop('source-1')
  t.equal(registry.find('source-1'), undefined)
})
