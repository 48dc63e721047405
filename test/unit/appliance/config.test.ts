import { join } from 'node:path'
import t from 'tap'
import { readConfig } from '../../../src/appliance/config.ts'

t.test('without a file the defaults hold', async t => {
  t.match(await readConfig(undefined, {}), { stateDirectory: '/var/lib/landfall', apiPort: 6325, replicationPort: 1500, publicNames: [] })
})

t.test('the environment wins over the file', async t => {
  const directory = t.testdir({ 'c.json': JSON.stringify({ apiPort: 1, replicationPort: 2, publicNames: ['a'] }) })
  const config = await readConfig(join(directory, 'c.json'), { LANDFALL_API_PORT: '0', LANDFALL_PUBLIC_NAMES: 'b, c', LANDFALL_APPLIANCE_VM: '', LANDFALL_LAB_RUN: 'x' })
  t.match(config, { apiPort: 0, replicationPort: 2, publicNames: ['b', 'c'], applianceVm: 'landfall-appliance' })
})

t.test('a missing or garbled file, a misspelt key and a wrong value are CONFIG_INVALID, named', async t => {
  const directory = t.testdir({ 'text.json': 'x', 'list.json': '[]', 'key.json': '{"apiPrt":1}', 'value.json': '{"apiPort":70000}' })
  await t.rejects(readConfig(join(directory, 'none.json'), {}), { code: 'CONFIG_INVALID', message: /none\.json/ })
  await t.rejects(readConfig(join(directory, 'text.json'), {}), { code: 'CONFIG_INVALID' })
  await t.rejects(readConfig(join(directory, 'list.json'), {}), { code: 'CONFIG_INVALID' })
  await t.rejects(readConfig(join(directory, 'key.json'), {}), { code: 'CONFIG_INVALID', message: /apiPrt/ })
  await t.rejects(readConfig(join(directory, 'value.json'), {}), { code: 'CONFIG_INVALID', message: /apiPort/ })
  await t.rejects(readConfig(undefined, { LANDFALL_API_PORT: 'many' }), { code: 'CONFIG_INVALID', message: /apiPort/ })
})
