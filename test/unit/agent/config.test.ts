import { join } from 'node:path'
import t from 'tap'
import { parseAgentConfig, queueLimits, readAgentConfig } from '../../../src/agent/config.ts'

t.test('an empty file gives the defaults', async t => {
  t.same(parseAgentConfig('{}', 'f'), { stateDirectory: '/var/lib/landfall-agent', root: '/', powerOff: 'system', capture: 'auto', watches: 100_000, rescanSeconds: 300, queue: { memoryMiB: 128 }, maxNice: 15, maxBehindSeconds: 10, scriptsDirectory: '/etc/landfall/scripts' })
})

t.test('a file that is named must be there and right; the message names the place', async t => {
  const root = t.testdir({ good: '{"root":"/srv/source","powerOff":"none"}', broken: '{', wrong: '{"root":"relative","colour":"red","replicationPort":0}' })
  t.match(await readAgentConfig(join(root, 'good')), { root: '/srv/source', powerOff: 'none' })
  await t.rejects(readAgentConfig(join(root, 'absent')), { code: 'CONFIG_INVALID', message: /absent/ })
  await t.rejects(readAgentConfig(join(root, 'broken')), { code: 'CONFIG_INVALID', message: /no JSON/ })
  await t.rejects(readAgentConfig(join(root, 'wrong')), { code: 'CONFIG_INVALID', message: /root: .*replicationPort: |replicationPort: .*root: / })
})

t.test('how far the agent steps back, and how far behind it may be meanwhile, have limits', t => {
  t.match(parseAgentConfig('{"maxNice":19,"maxBehindSeconds":86400}', 'f'), { maxNice: 19, maxBehindSeconds: 86_400 })
  for (const [json, message] of [['{"maxNice":20}', /maxNice/], ['{"maxBehindSeconds":0}', /maxBehindSeconds/], ['{"maxBehindSeconds":86401}', /maxBehindSeconds/]] as const) {
    t.throws(() => parseAgentConfig(json, 'f'), { code: 'CONFIG_INVALID', message })
  }
  t.end()
})

t.test('what is called in place of systemctl is named by its path', async t => {
  t.equal(parseAgentConfig('{"systemctl":"/opt/units"}', 'f').systemctl, '/opt/units')
  t.throws(() => parseAgentConfig('{"systemctl":"units"}', 'f'), { code: 'CONFIG_INVALID', message: /systemctl/ })
})

t.test('limits of the queue that contradict each other are refused, and say which', async t => {
  const queue = (json: object): ReturnType<typeof queueLimits> => queueLimits(parseAgentConfig(JSON.stringify({ queue: json }), 'f').queue)
  const MIB = 1024 * 1024
  t.same(queue({}), { limitBytes: 128 * MIB })
  t.same(queue({ memoryMiB: 32, folder: '/q' }), { limitBytes: 32 * MIB, disk: { folder: '/q', minimumFreeBytes: 50 * MIB } })
  t.same(queue({ folder: '/q', maximumMiB: 'unlimited', minimumFreeMiB: 0 }).disk, { folder: '/q', minimumFreeBytes: 0 })
  t.same(queue({ folder: '/q', maximumMiB: 200 }).disk?.maximumBytes, 200 * MIB)
  for (const [json, message] of [
    [{ memoryMiB: 31 }, /memoryMiB/], [{ maximumMiB: 500 }, /maximumMiB: there is no folder/], [{ minimumFreeMiB: 10 }, /minimumFreeMiB: there is no folder/],
    [{ folder: '/q', maximumMiB: 100 }, /maximumMiB: the disk must .* 128 MiB/], [{ folder: 'q' }, /folder/], [{ folder: '/q', maximumMiB: 'much' }, /maximumMiB/],
  ] as const) t.throws(() => queue(json), { code: 'CONFIG_INVALID', message })
})

t.test('a folder for a queue that the capture would not use is refused', async t => {
  for (const capture of ['inotify', 'none']) t.throws(() => parseAgentConfig(JSON.stringify({ capture, queue: { folder: '/q' } }), 'f'), { code: 'CONFIG_INVALID', message: new RegExp(`queue.folder: capture is "${capture}"`) })
  t.equal(parseAgentConfig('{"capture":"fanotify","queue":{"folder":"/q"}}', 'f').queue.folder, '/q')
})
