/** When the boot fix-ups are rehearsed, and what comes of it. */
import t from 'tap'
import type { Job } from '../../src/domain/job.ts'
import { World } from './world.ts'

/** Waits until the rehearsal of the job has ended. */
async function rehearsed(world: World, id: string): Promise<Job> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const job = world.engine?.list().find(j => j.id === id)
    if (job?.rehearsal?.state === 'passed' || job?.rehearsal?.state === 'failed') return job
    if (Date.now() > deadline) throw new Error(`the rehearsal did not end: ${JSON.stringify(job?.rehearsal)}`)
    await new Promise(resolve => { setImmediate(resolve) })
  }
}

t.test('a complete mirror is rehearsed while the job protects, and the cutover then does not rehearse again', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  t.equal((await rehearsed(world, id)).rehearsal?.state, 'passed')
  world.fail('replica.rehearse', 'BOOT_FIXUP_FAILED')
  await engine.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
})

t.test('a cutover rehearses first when the system was changed since, so that what takes long is done before the source is frozen', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  await rehearsed(world, id)
  const { rehearsals } = world.replica
  world.replica.asRehearsed = false
  await engine.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.equal(world.replica.rehearsals, rehearsals + 1)
})

t.test('a rehearsal that fails is told, replication goes on, and another one can be asked for', async t => {
  await using world = new World()
  const engine = await world.start()
  world.fail('replica.rehearse', 'BOOT_FIXUP_FAILED')
  const { id } = await world.protect()
  const failed = await rehearsed(world, id)
  t.match(failed, { state: 'protecting', health: 'warning', rehearsal: { state: 'failed', message: /./ } })
  t.ok((await engine.history(id, 0, 100)).some(e => e.kind === 'rehearsal'))
  await engine.act(id, 'rehearse')
  t.equal((await rehearsed(world, id)).rehearsal?.state, 'passed')
  t.equal(world.source.frozen, false)
})

t.test('a cutover of a job whose rehearsal failed rehearses first: when that fails nothing has happened to the source, and no new mirror is needed', async t => {
  await using world = new World()
  const engine = await world.start()
  world.fail('replica.rehearse', 'BOOT_FIXUP_FAILED')
  const { id } = await world.protect()
  await rehearsed(world, id)
  world.fail('replica.rehearse', 'BOOT_FIXUP_FAILED')
  const mirrors = world.source.calls.filter(c => c === 'mirror').length
  const drains = world.source.calls.filter(c => c === 'drain').length
  await engine.act(id, 'cutover')
  await world.until('provisioning', 'mirroring')
  const again = await world.replicating()
  t.equal(again?.lastError?.code, 'BOOT_FIXUP_FAILED')
  t.equal(world.source.calls.filter(c => c === 'drain').length, drains, 'the source was not asked for anything')
  t.equal(world.source.calls.filter(c => c === 'mirror').length, mirrors, 'the replica is as it was')
  await engine.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
})

t.test('a job that does not protect cannot be rehearsed', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.createJob()
  await t.rejects(engine.act(id, 'rehearse'), { code: 'JOB_TRANSITION_INVALID' })
})
