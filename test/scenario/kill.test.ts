/**
 * kill -9 of the appliance at any moment. The whole job is run once to count the calls to everything outside the engine; then it is run once per call, killed
 * there, started again, and driven on by a user who only does what is offered. It must end with the replica running, the source off, and nothing lost.
 */
import t from 'tap'
import type { Job, JobAction } from '../../src/domain/job.ts'
import { offeredActions } from '../../src/job/job-state.ts'
import { World } from './world.ts'

/** What a user does next in a state where the job waits for one. */
const NEXT: Partial<Record<Job['state'], JobAction>> = { created: 'validate', invalid: 'validate', ready: 'start', protecting: 'cutover', stopped: 'start', failed: 'retry' }

/** What `work` answers, or undefined when the appliance is killed before. */
async function unlessKilled<T>(world: World, work: Promise<T>): Promise<T | undefined> {
  const race = { ended: false }
  const killed = (async () => {
    while (!world.isKilled() && !race.ended) await new Promise(resolve => { setImmediate(resolve) })
    return undefined
  })()
  try {
    return await Promise.race([work, killed])
  } finally {
    race.ended = true
  }
}

/** @returns the states that were seen */
async function drive(world: World, downMs = 0): Promise<string[]> {
  const seen: string[] = []
  for (let round = 0; round < 40; round++) {
    if (world.isKilled()) {
      world.clock.advance(downMs)
      world.source.write()
    }
    if (world.engine === undefined || world.isKilled()) await unlessKilled(world, world.start())
    const { engine } = world
    if (engine === undefined || world.isKilled()) continue
    if (engine.list().length === 0) await unlessKilled(world, world.createJob())
    if (world.isKilled()) continue
    const resting = await world.until('created', 'invalid', 'ready', 'protecting', 'stopped', 'failed', 'completed')
    const job = resting?.state === 'protecting' ? await world.replicating() : resting
    if (job === undefined) continue
    seen.push(job.state)
    if (job.state === 'completed') return seen
    const action = NEXT[job.state]
    if (action === undefined || !offeredActions(job).includes(action)) throw new Error(`nothing to do in ${job.state}`)
    await unlessKilled(world, engine.act(job.id, action))
  }
  throw new Error(`no end: ${seen.join(' ')}`)
}

for (const [downMs, title] of [[0, 'started again at once'], [600_000, 'started again when the source has thawed and was written to']] as const) {
  t.test(`killed at any call and ${title}, the job ends right`, async t => {
    let calls: number
    {
      await using world = new World()
      await drive(world)
      calls = world.calls
    }
    t.ok(calls > 100, `the job makes ${String(calls)} calls to what is outside`)
    const paths = new Set<string>()
    for (let killAt = 1; killAt <= calls; killAt++) {
      await using world = new World()
      world.killAt = killAt
      const seen = await drive(world, downMs)
      paths.add(seen.join(' '))
      const running = [...world.hypervisor.vms.values()].filter(vm => vm.power === 'on').length
      const right = world.violations.length === 0 && world.source.off && running === 1
      if (!right) t.fail(`killed at call ${String(killAt)}`, { seen, violations: world.violations, off: world.source.off, running })
    }
    t.comment([...paths].join('\n'))
    t.ok([...paths].some(path => path.split('protecting').length > 2), 'some cutovers were undone and done again')
  })
}
