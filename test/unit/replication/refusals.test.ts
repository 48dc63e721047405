import t from 'tap'
import { Refusals } from '../../../src/replication/refusals.ts'
import type { AppliedFailure } from '../../../src/wire/messages.ts'

const failure = (more: Partial<AppliedFailure>): AppliedFailure => ({
  sequence: 1, volume: 0, index: 0, operation: 'metadata', path: Buffer.from('a/b').toString('base64'), errno: 'EPERM', what: 'extended attribute user.k', partial: true, ...more,
})

t.test('attributes that are refused once may have been another object\'s: they are looked at again and not told', async t => {
  const { again, findings, forever } = new Refusals().see([failure({})])
  t.strictSame(again.map(({ path, attributesOnly }) => [path.toString(), attributesOnly]), [['a/b', true]])
  t.strictSame([findings, forever], [[], []])
})

t.test('attributes that stay refused are told once, and then no more looked at', async t => {
  const refusals = new Refusals()
  const seen = Array.from({ length: 8 }, () => {
    const { again, findings } = refusals.see([failure({})])
    // all that was sent meanwhile was applied
    refusals.clear()
    return [again.length, findings.map(({ code }) => code)]
  })
  t.strictSame(seen.slice(0, 3), [[1, []], [1, []], [1, []]])
  t.strictSame(seen[3], [0, ['ATTRIBUTE_REFUSED']])
  t.strictSame(seen.slice(4), Array.from({ length: 4 }, () => [0, []]))
  t.strictSame(refusals.see([failure({ what: 'inode flags nodump' })]).again.length, 1, 'another attribute is another matter')
})

t.test('a name that the replica cannot hold is told at once', async t => {
  const refusals = new Refusals()
  const long = failure({ operation: 'file', errno: 'ENAMETOOLONG', what: '', partial: false })
  t.strictSame(refusals.see([long]).findings.map(({ code }) => code), ['REPLICA_REFUSED'])
  const { again, findings, forever } = refusals.see([long])
  t.strictSame([again.length, findings.length, forever.length], [0, 0, 1])
})

t.test('where a file was refused and then an attribute of it, that of the file counts', t => {
  const [big, attribute] = [failure({ operation: 'write', errno: 'EFBIG', what: '', partial: false }), failure({})]
  for (const failures of [[big, attribute], [attribute, big]]) {
    const { again, findings, forever } = new Refusals().see(failures)
    t.strictSame(findings.map(({ code }) => code), ['REPLICA_REFUSED'])
    t.strictSame([again.length, forever.length], [0, 1])
  }
  const retried = new Refusals().see([failure({ operation: 'write', errno: 'EIO', what: '', partial: false }), attribute])
  t.strictSame(retried.again.map(({ attributesOnly }) => attributesOnly), [false])
  t.end()
})
