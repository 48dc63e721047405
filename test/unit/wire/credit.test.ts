import t from 'tap'
import { Credit } from '../../../src/wire/credit.ts'

const never = new AbortController().signal

/** Notes in `order` when the promise resolves. */
async function note(order: string[], name: string, taking: Promise<void>): Promise<void> {
  await taking
  order.push(name)
}

t.test('who waits for credit is served in the order of coming', async t => {
  const credit = new Credit(100)
  const order: string[] = []
  await credit.take(90, never)
  const all = [note(order, 'large', credit.take(50, never)), note(order, 'small', credit.take(5, never))]
  await Promise.resolve()
  t.same(order, [], 'the small one fits but does not overtake')
  t.ok(credit.give(50))
  await Promise.all(all)
  t.same(order, ['large', 'small'])
})

t.test('more than the window passes when nothing else is under way', async t => {
  const credit = new Credit(100)
  await credit.take(1000, never)
  t.equal(credit.usedBytes, 1000)
  const second = credit.take(1, never)
  credit.give(1000)
  await second
  t.equal(credit.usedBytes, 1)
})

t.test('an abort gives the turn up, takes nothing, and lets the next one pass', async t => {
  const credit = new Credit(100)
  await credit.take(60, never)
  const stop = new AbortController()
  const large = credit.take(50, stop.signal)
  const small = credit.take(40, never)
  stop.abort()
  await t.rejects(large, { name: 'AbortError' })
  await small
  t.equal(credit.usedBytes, 100)
  await t.rejects(credit.take(0, stop.signal), { name: 'AbortError' })
})

t.test('credit for more than was taken is not accepted', async t => {
  const credit = new Credit(100)
  await credit.take(10, never)
  t.notOk(credit.give(11))
  t.equal(credit.usedBytes, 10)
})

t.test('a failure ends those who wait and those who come later', async t => {
  const credit = new Credit(10)
  await credit.take(10, never)
  const waiting = credit.take(1, never)
  credit.fail(new Error('gone'))
  await t.rejects(waiting, { message: 'gone' })
  await t.rejects(credit.take(0, never), { message: 'gone' })
})
