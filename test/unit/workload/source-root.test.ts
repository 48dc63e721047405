import { join } from 'node:path'
import { symlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { SourceRoot } from '../../../src/workload/source-root.ts'

async function openRoot(path: string): Promise<{ root: SourceRoot, findings: Finding[] }> {
  const findings: Finding[] = []
  return { root: await SourceRoot.open(path, f => { findings.push(f) }), findings }
}

t.test('an absolute link is followed inside the root, never to the host', async t => {
  const dir = t.testdir({ host: { secret: 'of the host' }, root: { etc: { real: 'of the source' }, secret: 'of the source too' } })
  symlinkSync('/etc/real', join(dir, 'root/etc/absolute'))
  symlinkSync('../../../../../../../../secret', join(dir, 'root/etc/climbing'))
  symlinkSync(join(dir, 'host/secret'), join(dir, 'root/etc/escaping'))
  const { root } = await openRoot(join(dir, 'root'))
  t.equal(await root.text('/etc/absolute'), 'of the source')
  t.equal(await root.text('/etc/climbing'), 'of the source too')
  t.equal(await root.text('/etc/escaping'), undefined)
})

t.test('a link of a directory in the middle of a path is resolved inside the root', async t => {
  const dir = t.testdir({ usr: { lib: { modules: { '6.1': { 'modules.dep': 'x' } } } } })
  symlinkSync('usr/lib', join(dir, 'lib'))
  const { root } = await openRoot(dir)
  t.equal(await root.text('/lib/modules/6.1/modules.dep'), 'x')
  t.same(await root.names('/lib/modules'), ['6.1'])
  t.ok(await root.isDirectory('/lib'))
})

t.test('a loop of links is a finding and no answer', async t => {
  const dir = t.testdir({})
  symlinkSync('b', join(dir, 'a'))
  symlinkSync('a', join(dir, 'b'))
  const { root, findings } = await openRoot(dir)
  t.equal(await root.text('/a'), undefined)
  t.match(findings, [{ code: 'DISCOVERY_INCOMPLETE', subject: '/a' }])
})

t.test('what is missing is no finding', async t => {
  const { root, findings } = await openRoot(t.testdir({ file: 'x' }))
  t.equal(await root.text('/nothing'), undefined)
  t.equal(await root.text('/file/below'), undefined)
  t.equal(await root.firstText(['/nothing', '/file']), 'x')
  t.same(await root.names('/nothing'), [])
  t.notOk(await root.isFile('/nothing'))
  t.same(findings, [])
})

t.test('a device, a directory or a pipe is never read', async t => {
  const { root } = await openRoot('/')
  t.equal(await root.text('/dev/zero'), undefined)
  t.equal(await root.text('/etc'), undefined)
})

t.test('of a file that is too large the start is read, and that is said', async t => {
  const { root, findings } = await openRoot(t.testdir({ big: 'x'.repeat(200_000) }))
  t.equal((await root.text('/big', 70_000))?.length, 70_000)
  t.match(findings, [{ code: 'FILE_TOO_LARGE', subject: '/big' }])
  t.equal((await root.start('/big', 4))?.toString(), 'xxxx')
})

t.test('NUL bytes and invalid UTF-8 do no harm', async t => {
  const dir = t.testdir({})
  writeFileSync(join(dir, 'odd'), Buffer.from([0x61, 0x00, 0xff, 0x62]))
  const { root } = await openRoot(dir)
  t.equal(await root.text('/odd'), 'a\uFFFDb')
})

t.test('a root that is missing is a finding', async t => {
  const { root, findings } = await openRoot(join(t.testdir({}), 'gone'))
  t.equal(await root.text('/etc/fstab'), undefined)
  t.match(findings, [{ code: 'DISCOVERY_INCOMPLETE', subject: '/' }])
})
