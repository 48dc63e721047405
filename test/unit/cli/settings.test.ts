import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parseUrl, readLogin, readSecretFile, readSettings, storeLogin } from '../../../src/cli/settings.ts'

t.test('an option wins over the environment, the environment over what was stored', async t => {
  const dir = t.testdir({ ca: 'CA of the option', ca2: 'CA of the environment', token: 'from-file\n' })
  const home = { HOME: dir }
  await storeLogin({ version: 1, url: 'https://stored:1', ca: 'stored CA', token: 'stored' }, home)
  t.match(await readSettings({}, home), { url: { origin: 'https://stored:1' }, token: 'stored', ca: 'stored CA' })
  const environment = { ...home, LANDFALL_TOKEN: 'env', LANDFALL_CA: join(dir, 'ca2'), LANDFALL_URL: 'https://stored:1' }
  t.match(await readSettings({}, environment), { token: 'env', ca: 'CA of the environment' })
  t.match(await readSettings({ url: 'https://option:2', ca: join(dir, 'ca'), tokenFile: join(dir, 'token') }, environment), { url: { origin: 'https://option:2' }, token: 'from-file', ca: 'CA of the option' })
})

t.test('token and CA of one appliance are not used for another', async t => {
  const home = { XDG_CONFIG_HOME: t.testdir({}) }
  await storeLogin({ version: 1, url: 'https://stored:1', ca: 'stored CA', token: 'stored' }, home)
  t.match(await readSettings({ url: 'https://other:1' }, home), { token: undefined, ca: undefined })
})

t.test('without anything it is the appliance on this machine', async t => {
  t.match(await readSettings({}, {}), { url: { origin: 'https://localhost:6325' }, token: undefined, ca: undefined })
})

t.test('a stored login is for its owner only', async t => {
  const home = { HOME: t.testdir({}) }
  const path = await storeLogin({ version: 1, url: 'https://stored:1' }, home)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.equal((await readLogin(home))?.url, 'https://stored:1')
})

t.test('a damaged login, a missing file and an empty secret are told', async t => {
  const dir = t.testdir({ landfall: { 'login.json': '{' }, empty: '\nsecond line' })
  await t.rejects(readLogin({ XDG_CONFIG_HOME: dir }), { code: 'REQUEST_INVALID' })
  await t.rejects(readSecretFile(join(dir, 'none')), { code: 'REQUEST_INVALID' })
  await t.rejects(readSecretFile(join(dir, 'empty')), { code: 'REQUEST_INVALID' })
  await t.rejects(storeLogin({ version: 1, url: 'https://x' }, {}), { code: 'REQUEST_INVALID' })
})

t.test('only https addresses without a password are taken', t => {
  for (const bad of ['http://x:1', 'x:6325', 'https://user:pw@x', '']) t.throws(() => parseUrl(bad), { code: 'REQUEST_INVALID' }, bad)
  t.equal(parseUrl('https://[::1]:6325').hostname, '[::1]')
  t.end()
})
