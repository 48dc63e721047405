import { mkdir, readFile, writeFile } from 'node:fs/promises'
import t from 'tap'
import { openApiDocument } from '../../../src/api/openapi.ts'
import { ApiWorld, apiEndpoints } from './api-world.ts'

const GOLDEN = 'fixtures/api/openapi.json'

t.test('the OpenAPI document is the recorded one', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const engine = api.world.engine
  if (engine === undefined) throw new Error('no engine')
  const document = openApiDocument(apiEndpoints(api, engine, { now: () => 0 }).map(({ route }) => route), '0.0.0')
  const text = `${JSON.stringify(document, null, 2)}\n`
  if (process.env['GOLDEN'] === 'update') {
    await mkdir('fixtures/api', { recursive: true })
    await writeFile(GOLDEN, text)
  }
  t.strictSame(JSON.parse(text), JSON.parse(await readFile(GOLDEN, 'utf8')))
  t.notMatch(text, /"\$ref": ?"(?!#\/components\/schemas\/)/, 'every reference is into the document')
  for (const [, name] of text.matchAll(/#\/components\/schemas\/(\w+)/g)) t.match(document['components'], { schemas: { [String(name)]: Object } }, `${String(name)} is defined`)
})

t.test('every route of the table in domain/api.ts is there, and no other', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const engine = api.world.engine
  if (engine === undefined) throw new Error('no engine')
  const told = [...(await readFile('src/domain/api.ts', 'utf8')).matchAll(/\b(GET|POST|PATCH|DELETE) +(\/[\w/{}.-]+)/g)].map(([, method, path]) => `${String(method)} ${String(path)}`)
  const routes = apiEndpoints(api, engine, { now: () => 0 }).map(({ route }) => `${route.method.toUpperCase()} ${route.path}`)
  t.strictSame([...new Set(told)].sort(), [...routes, 'GET /openapi.json'].sort())
})
