/** What becomes of a job whose capture has missed changes, as its options say, on in-memory versions of everything around it. */
import t from 'tap'
import { targetDataState, type Job } from '../../src/domain/job.ts'
import { World } from './world.ts'

const mirrors = (world: World): string[] => world.source.calls.filter(call => call.startsWith('mirror '))

async function waiting(world: World): Promise<Job> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const job = world.engine?.list()[0]
    if (job?.activity.startsWith('mirror required') === true) return job
    if (Date.now() > deadline) throw new Error(`the job does not wait: ${JSON.stringify(job)}`)
    await new Promise(resolve => { setImmediate(resolve) })
  }
}

for (const [autoRemirror, compared] of [['checksum', 'data'], ['attributes', 'attributes'], ['full', 'none']] as const) {
  t.test(`a mirror that is required is made at once, and compares ${compared} when the job says ${autoRemirror}`, async t => {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect({ autoRemirror })
    world.source.restartAgent()
    await world.until('mirroring')
    await world.replicating()
    t.same(mirrors(world), ['mirror none', `mirror ${compared}`])
    t.match((await engine.history(id, 0, 200)).find(event => event.kind === 'mirror-required')?.message, /what differs is mirrored again/)
    t.equal(targetDataState(await engine.get(id)), 'ok')
    await engine.edit(id, { autoRemirror: 'checksum' })
    world.source.overflow()
    await world.until('mirroring')
    await world.replicating()
    t.equal(mirrors(world).at(-1), 'mirror data', 'as it says now, also when changes were lost while it ran')
    t.same(world.violations, [])
  })
}

t.test('a mirror that is required waits for a person when the job says off, and that is shown, also by an appliance that starts anew', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect({ autoRemirror: 'off' })
  world.source.overflow()
  t.match(await waiting(world), { state: 'protecting', health: 'error' })
  t.equal(targetDataState(await engine.get(id)), 'mirror-required')
  t.match((await engine.history(id, 0, 200)).at(-1), { kind: 'mirror-required', message: /which is not made by itself; "landfall job remirror" begins it/ })
  world.kill()
  const again = await world.start()
  t.match(await waiting(world), { state: 'protecting', health: 'error' })
  t.equal(targetDataState(await again.get(id)), 'mirror-required')
  await t.rejects(again.act(id, 'cutover'), { code: 'JOB_TRANSITION_INVALID', message: /a new mirror comes first/ })
  t.same(mirrors(world), ['mirror none'], 'nothing was mirrored')
  await again.act(id, 'remirror')
  const job = await world.replicating()
  t.same(mirrors(world), ['mirror none', 'mirror attributes'])
  t.match(job, { health: 'ok' })
  t.equal(targetDataState(await again.get(id)), 'ok')
  t.same(world.violations, [])
})

t.test('a cutover that finds that changes were missed is undone, and what it found waits for a person, too', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect({ autoRemirror: 'off' })
  await engine.act(id, 'pause')
  world.source.restartAgent()
  await engine.act(id, 'cutover')
  t.match(await waiting(world), { state: 'protecting', health: 'error' })
  t.same((await engine.history(id, 0, 200)).filter(({ kind }) => kind === 'cutover-undone' || kind === 'mirror-required').map(({ kind }) => kind), ['cutover-undone', 'mirror-required'])
  t.same(mirrors(world), ['mirror none'], 'nothing was mirrored')
  await engine.act(id, 'resume')
  await engine.act(id, 'remirror')
  await world.replicating()
  t.same(mirrors(world), ['mirror none', 'mirror attributes'])
  t.same(world.violations, [])
})
