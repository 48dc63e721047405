import t from 'tap'
import { AppError } from '../../../src/errors/app-error.ts'
import { retrying } from '../../../src/job/retrying.ts'

const signal = AbortSignal.timeout(5000)

function watch(): { pauses: number[], parts: Parameters<typeof retrying>[1] } {
  const pauses: number[] = []
  return { pauses, parts: { clock: { now: () => 0, sleep: async ms => { pauses.push(ms) } }, failed: async () => undefined, random: () => 0.5 } }
}

t.test('what passes by itself is tried five times with growing pauses', async t => {
  const { pauses, parts } = watch()
  let tries = 0
  await t.rejects(retrying(async () => { tries++; throw new AppError('VSPHERE_BUSY', 'busy') }, parts, signal), { code: 'VSPHERE_BUSY' })
  t.equal(tries, 5)
  t.strictSame(pauses, [2000, 4000, 8000, 16_000])
})

t.test('what will not pass is not tried again', async t => {
  for (const error of [new AppError('VSPHERE_LOGIN', 'no'), new AppError('REPLICA_FULL', 'full'), new TypeError('defect')]) {
    const { pauses, parts } = watch()
    await t.rejects(retrying(async () => { throw error }, parts, signal), { message: error.message })
    t.strictSame(pauses, [])
  }
})

t.test('an aborted signal stops before the work', async t => {
  const { parts } = watch()
  let tries = 0
  await t.rejects(retrying(async () => { tries++ }, parts, AbortSignal.abort()), { name: 'AbortError' })
  t.equal(tries, 0)
})
