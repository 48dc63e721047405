import t from 'tap'
import { z } from 'zod'
import { EXIT_CODES, exitCodeHelp } from '../../../src/cli/exit-codes.ts'
import { exitCodeOf, problemOf } from '../../../src/cli/problem.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { CODES } from '../../../src/errors/codes.ts'

t.test('every exit code of the code table is in the help', t => {
  for (const [code, { exitCode }] of Object.entries(CODES)) t.ok(exitCode in EXIT_CODES, code)
  for (const code of Object.keys(EXIT_CODES)) t.match(exitCodeHelp(), new RegExp(`^ +${code}  `, 'm'))
  t.end()
})

t.test('our own errors have the form of the appliance\'s', t => {
  t.match(problemOf(new AppError('LINK_REFUSED', 'cannot reach x')), { code: 'LINK_REFUSED', detail: 'cannot reach x', status: 503, retryable: true, operator: CODES.LINK_REFUSED.operator })
  t.match(problemOf(new TypeError('boom')), { code: 'INTERNAL', detail: 'boom' })
  const refused = z.object({ vmName: z.string().min(1, 'too short') }).safeParse({ vmName: '' })
  t.match(problemOf(refused.error), { code: 'REQUEST_INVALID', detail: 'vmName: too short' })
  t.end()
})

t.test('an unknown code of a newer appliance has the exit code of its status', t => {
  const remote = (status: number): ReturnType<typeof problemOf> => problemOf(new AppError('INTERNAL', 'x', { cause: { type: 't', title: 't', status, detail: 'd', code: 'NEW_THING', operator: 'o', retryable: false } }))
  t.equal(remote(404).code, 'NEW_THING')
  t.same([404, 409, 401, 403, 503, 504, 422, 500].map(s => exitCodeOf(remote(s))), [3, 4, 5, 5, 6, 6, 2, 1])
  t.end()
})

t.test('each known code has the exit code of the table', t => {
  for (const code of Object.keys(CODES) as (keyof typeof CODES)[]) t.equal(exitCodeOf(problemOf(new AppError(code, 'x'))), CODES[code].exitCode, code)
  t.end()
})
