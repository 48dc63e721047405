import t from 'tap'
import { createLab } from '../../lab/lab.ts'
import { migrate } from '../../lab/migrate.ts'

const LIMIT_MS = 560_000

t.test('agent and appliance are killed in the middle of the mirror, started again, and the replica is equal', async (t) => {
  const signal = AbortSignal.timeout(LIMIT_MS)
  await using lab = await createLab({ say: t.comment.bind(t), seed: 9 }, signal)
  let killedAt = ''
  const result = await migrate(lab, {
    spoil: false, onStep: t.comment.bind(t),
    whileMirroring: async (job) => {
      killedAt = `${job.state} with ${String(job.mirror?.filesDone ?? 0)} files done`
      await lab.agent.kill()
      await lab.agent.start()
      await lab.appliance.kill()
      await lab.appliance.start()
    },
  }, signal)
  t.match(killedAt, /^mirroring with [1-9]/)
  t.ok(result.booted)
  t.strictSame(result.comparison.differences, [])
  t.ok(result.equal)
})
