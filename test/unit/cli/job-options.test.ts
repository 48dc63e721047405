import { join } from 'node:path'
import t from 'tap'
import { CreateFlags, createRequest, memoryMiB, networks, processors } from '../../../src/cli/job-options.ts'

const flags = (changes: Record<string, unknown> = {}): CreateFlags => CreateFlags.parse({ source: 'web1', vmware: 'vc1', datastore: 'ds1', ...changes })

t.test('without flags everything has the product\'s defaults', async t => {
  t.same(await createRequest('move', flags()), {
    name: 'move', source: 'web1', vmware: 'vc1',
    options: { volumes: [], datastore: 'ds1', vmName: 'move', networks: [], diskFormat: 'thin', compare: 'none', rules: [], orphans: 'delete', cutover: 'manual', shutDownSource: true, autoRemirror: 'attributes', bandwidthSchedule: [], compression: 'off', ignoreDeletes: false },
  })
})

t.test('every flag arrives where it belongs', async t => {
  const dir = t.testdir({ script: '#!/bin/sh\necho hi\n' })
  const request = await createRequest('move', flags({
    vmName: 'web1', network: ['VM Network', '52:54:00:AA:BB:CC=DMZ=1'], discardNic: ['52:54:00:00:00:01'], volume: ['/data'], diskFormat: 'thick', compare: 'data',
    orphans: 'keep', orphansOlderThan: '7d', removeOutside: true, include: ['/srv/**'], excludeFlat: ['-x\\xff'], cpu: '2x4', memory: '8G', postFailover: join(dir, 'script'), postFailoverArg: ['a b', '-x'], postFailoverTimeout: '30', autoCutover: true, shutdown: false,
    bandwidth: '5000', bandwidthWindow: ['08:00-18:00@Europe/Berlin=3500', '22:00-06:00=unlimited'], compression: 'maximum', autoRemirror: 'off', ignoreDeletes: true, ratio: '3:1',
    transmitAt: '2100-01-31T22:00:00+01:00', transmitEvery: '1d', transmitQueued: '100', transmitOlder: '15m', transmitBytes: '1000', transmitFor: '2h', transmitWindow: '22:00-06:00',
  }))
  t.same(request.options, {
    volumes: ['/data'], datastore: 'ds1', vmName: 'web1', defaultNetwork: 'VM Network',
    networks: [{ sourceMac: '52:54:00:aa:bb:cc', network: 'DMZ=1' }, { sourceMac: '52:54:00:00:00:01', network: null }],
    diskFormat: 'thick', compare: 'data', orphans: 'keep', orphansOlderThanMs: 7 * 86_400_000, removeOutside: true,
    rules: [{ kind: 'include', pattern: '/srv/**', recursive: true }, { kind: 'exclude', pattern: '-x\\xff', recursive: false }], sockets: 2, coresPerSocket: 4, memoryMiB: 8192, cutover: 'automatic', shutDownSource: false,
    bandwidthBytesPerS: 5000, bandwidthSchedule: [{ from: '08:00', to: '18:00', timeZone: 'Europe/Berlin', bandwidthBytesPerS: 3500 }, { from: '22:00', to: '06:00' }], compression: 'maximum', autoRemirror: 'off', ignoreDeletes: true, ratio: { mirror: 3, replication: 1 },
    transmitSchedule: { startAtUtc: '2100-01-31T21:00:00.000Z', everyMs: 86_400_000, queuedChanges: 100, oldestMs: 900_000, byteLimit: 1000, timeLimitMs: 7_200_000, window: { from: '22:00', to: '06:00' } },
    postFailover: { content: '#!/bin/sh\necho hi\n', arguments: ['a b', '-x'], timeoutMs: 30_000 },
  })
})

t.test('a rule that cannot be used, and a period that is none, are refused before the appliance is asked', async t => {
  await t.rejects(createRequest('move', flags({ exclude: ['[a'] })), { code: 'RULE_INVALID' })
  await t.rejects(createRequest('move', flags({ orphansOlderThan: '7 days' })), { code: 'REQUEST_INVALID' })
})

t.test('a network may have an equals sign in its name', t => {
  t.same(networks(['vlan=10'], []), { networks: [], defaultNetwork: 'vlan=10' })
  t.end()
})

t.test('two networks for all, an adapter mapped twice and a wrong MAC are refused', t => {
  t.throws(() => networks(['a', 'b'], []), { code: 'REQUEST_INVALID' })
  t.throws(() => networks(['52:54:00:00:00:01=a'], ['52:54:00:00:00:01']), { code: 'REQUEST_INVALID' })
  t.throws(() => networks([], ['eth0']), { code: 'REQUEST_INVALID' })
  t.end()
})

t.test('processors and memory are read, nonsense is refused', t => {
  t.same(processors('4'), { sockets: 1, coresPerSocket: 4 })
  t.same(processors(undefined), {})
  for (const bad of ['', '2x', 'x4', '2.5', 'two']) t.throws(() => processors(bad), { code: 'REQUEST_INVALID' }, bad)
  t.same(['4096', '4096M', '4GiB', '4 g'].map(memoryMiB), [4096, 4096, 4096, 4096])
  for (const bad of ['', 'G', '4T', '-1']) t.throws(() => memoryMiB(bad), { code: 'REQUEST_INVALID' }, bad)
  t.end()
})

t.test('values that the API would refuse are refused here', async t => {
  await t.rejects(createRequest('move', flags({ diskFormat: 'fat' })), { name: 'ZodError' })
  await t.rejects(createRequest('move', flags({ postFailover: '/nonexistent/script' })), { code: 'REQUEST_INVALID' })
  await t.rejects(createRequest('move', flags({ postFailoverArg: ['x'] })), { code: 'REQUEST_INVALID' })
  await t.rejects(createRequest('../x', flags()), { name: 'ZodError' })
  for (const ratio of ['1', '0:1', '1:0', '1001:1', '1:-1', '1.5:1', 'a:b', '1:1:1']) await t.rejects(createRequest('move', flags({ ratio })), { code: 'REQUEST_INVALID' }, ratio)
})
