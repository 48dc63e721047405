import { join } from 'node:path'
import t from 'tap'
import { parseAgentConfig, readAgentConfig } from '../../../src/agent/config.ts'

t.test('an empty file gives the defaults', async t => {
  t.same(parseAgentConfig('{}', 'f'), { stateDirectory: '/var/lib/landfall-agent', root: '/', powerOff: 'system', capture: 'auto', watches: 100_000, rescanSeconds: 300, maxNice: 5, scriptsDirectory: '/etc/landfall/scripts' })
})

t.test('a file that is named must be there and right; the message names the place', async t => {
  const root = t.testdir({ good: '{"root":"/srv/source","powerOff":"none"}', broken: '{', wrong: '{"root":"relative","colour":"red","replicationPort":0}' })
  t.match(await readAgentConfig(join(root, 'good')), { root: '/srv/source', powerOff: 'none' })
  await t.rejects(readAgentConfig(join(root, 'absent')), { code: 'CONFIG_INVALID', message: /absent/ })
  await t.rejects(readAgentConfig(join(root, 'broken')), { code: 'CONFIG_INVALID', message: /no JSON/ })
  await t.rejects(readAgentConfig(join(root, 'wrong')), { code: 'CONFIG_INVALID', message: /root: .*replicationPort: |replicationPort: .*root: / })
})
