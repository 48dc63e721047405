import t from 'tap'
import { z } from 'zod'
import { checkRequest } from '../../../src/api/check-request.ts'

const Thing = z.object({ name: z.string(), size: z.number().default(3), parts: z.array(z.object({ id: z.number() })).default([]), notes: z.record(z.string(), z.string()).optional() })

t.test('a good value is answered with its defaults', async t => {
  t.strictSame(checkRequest(Thing, { name: 'a' }, 'body'), { name: 'a', size: 3, parts: [] })
})

t.test('each wrong place is named', async t => {
  t.throws(() => checkRequest(Thing, { size: 'x', parts: [{ id: 'y' }] }, 'body'), { code: 'REQUEST_INVALID', message: /name: .*; size: .*; parts\.0\.id: / })
  t.throws(() => checkRequest(Thing, 'x', 'body'), { code: 'REQUEST_INVALID', message: /^the body is not valid: body: / })
})

t.test('a misspelt key is refused, at any depth; free keys are not', async t => {
  t.throws(() => checkRequest(Thing, { name: 'a', sise: 1 }, 'body'), { code: 'REQUEST_INVALID', message: /sise: not known/ })
  t.throws(() => checkRequest(Thing, { name: 'a', parts: [{ id: 1, idd: 2 }] }, 'body'), { code: 'REQUEST_INVALID', message: /parts\.0\.idd: not known/ })
  t.strictSame(checkRequest(Thing, { name: 'a', notes: { anything: 'x' } }, 'body').notes, { anything: 'x' })
})

t.test('at most five places are named', async t => {
  const keys = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${String(i)}`, 1]))
  t.throws(() => checkRequest(Thing, { name: 'a', ...keys }, 'body'), { message: / and 4 more$/ })
})
