import t from 'tap'
import { createLab } from '../../lab/lab.ts'
import { migrate } from '../../lab/migrate.ts'

const LIMIT_MS = 1_000_000

t.test('one byte that differs on the replica is found', async (t) => {
  const signal = AbortSignal.timeout(LIMIT_MS)
  await using lab = await createLab({ say: t.comment.bind(t), table: 'dos', seed: 8 }, signal)
  const result = await migrate(lab, { spoil: true, onStep: t.comment.bind(t) }, signal)
  t.ok(result.booted, 'it boots all the same, from an MBR disk')
  t.notOk(result.equal)
  t.strictSame(result.comparison.differences.map(d => d.path), ['/data/db/table.ibd'])
})
