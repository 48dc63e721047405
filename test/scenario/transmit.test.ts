/** The transmit mode of a job, in the user's words, on in-memory versions of everything around it. */
import t from 'tap'
import type { Job } from '../../src/domain/job.ts'
import { World } from './world.ts'

const MINUTE = 60_000

async function until(world: World, what: string, is: (job: Job) => boolean): Promise<Job> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const job = world.engine?.list()[0]
    if (job !== undefined && is(job)) return job
    if (Date.now() > deadline) throw new Error(`the job is not ${what}: ${JSON.stringify(job)}`)
    await new Promise(resolve => { setImmediate(resolve) })
  }
}

const count = (world: World, call: string): number => world.source.calls.filter(other => other === call).length

t.test('a paused job stays protecting, lets changes wait at the source, and goes on where it was', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'pause')
  world.source.waiting = { queued: 7, oldestMs: 3 * MINUTE }
  const paused = await until(world, 'paused', job => job.transmitMode === 'paused' && job.replication?.queued === 7)
  t.equal(paused.state, 'protecting')
  t.equal(paused.replication?.recoveryPointLatencyMs, 3 * MINUTE)
  t.ok(world.source.capturing, 'the source goes on capturing')
  t.equal(count(world, 'replicate'), 1)
  await engine.act(id, 'resume')
  await until(world, 'active', job => job.transmitMode === 'active' && count(world, 'replicate') === 2)
  t.equal(count(world, 'mirror none'), 1, 'nothing is mirrored again')
  await t.rejects(engine.act('nothing', 'pause'), { code: 'JOB_NOT_FOUND' })
})

t.test('a pause outlives the appliance, and a start ends it', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'pause')
  await until(world, 'paused', job => job.transmitMode === 'paused')
  world.kill()
  const again = await world.start()
  await until(world, 'paused again', job => job.transmitMode === 'paused' && job.activity.startsWith('paused'))
  t.equal(count(world, 'replicate'), 1)
  await again.act(id, 'start')
  await until(world, 'active', job => job.transmitMode === 'active' && count(world, 'replicate') === 2)
})

t.test('a mirror that is paused goes on with what is left', async t => {
  await using world = new World()
  world.source.holdMirror = true
  const engine = await world.start()
  const { id } = await world.createJob()
  await engine.act(id, 'validate')
  await world.until('ready')
  await engine.act(id, 'start')
  await until(world, 'mirroring', () => count(world, 'mirror none') === 1)
  await engine.act(id, 'pause')
  t.equal((await until(world, 'paused', job => job.transmitMode === 'paused')).state, 'mirroring')
  world.source.holdMirror = false
  await engine.act(id, 'resume')
  await world.replicating()
  t.equal(count(world, 'mirror none'), 2)
})

t.test('a cutover of a paused job brings the waiting changes over', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect({ bandwidthBytesPerS: 5000 })
  await engine.act(id, 'pause')
  await until(world, 'paused', job => job.transmitMode === 'paused')
  await engine.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.strictSame(world.violations, [])
  t.strictSame(world.source.transmissions.at(-1), { compression: 'off', bandwidthBytesPerS: 5000 })
})

t.test('bandwidth and compression hold from the first byte, change at once, and interrupt nothing', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect({ bandwidthBytesPerS: 5000, compression: 'medium' })
  t.strictSame(world.source.transmissions[0], { compression: 'medium', bandwidthBytesPerS: 5000 })
  await engine.edit(id, { bandwidthBytesPerS: null, compression: 'off' })
  await until(world, 'faster', () => JSON.stringify(world.source.transmissions.at(-1)) === JSON.stringify({ compression: 'off' }))
  t.equal((await engine.get(id)).options.bandwidthBytesPerS, undefined)
  t.equal(count(world, 'replicate'), 1)
  world.source.disconnect()
  world.source.connect()
  await until(world, 'replicating again', () => count(world, 'replicate') === 2)
  t.strictSame(world.source.transmissions.at(-1), { compression: 'off' }, 'a new connection is told')
})

t.test('a schedule holds the changes back until its start, and a window closes what runs', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  const startAtUtc = new Date(world.clock.now() + 2 * MINUTE).toISOString()
  await engine.edit(id, { transmitSchedule: { startAtUtc } })
  await until(world, 'scheduled', job => job.transmitMode === 'scheduled')
  const began = await until(world, 'active', job => job.transmitMode === 'active' && count(world, 'replicate') === 2)
  t.ok(Date.parse(began.transmissionBeganAtUtc ?? '') >= Date.parse(startAtUtc))
  const from = new Date(world.clock.now() + 3 * MINUTE).toISOString().slice(11, 16)
  const to = new Date(world.clock.now() + 5 * MINUTE).toISOString().slice(11, 16)
  await engine.edit(id, { transmitSchedule: { window: { from, to } } })
  await until(world, 'scheduled', job => job.transmitMode === 'scheduled')
  await until(world, 'active in the window', job => job.transmitMode === 'active')
  await until(world, 'scheduled behind it', job => job.transmitMode === 'scheduled')
  await engine.edit(id, { transmitSchedule: null })
  await until(world, 'active', job => job.transmitMode === 'active')
  await t.rejects(engine.edit(id, { transmitSchedule: {} }), { code: 'SCHEDULE_NEVER_OPENS' })
  t.equal((await engine.get(id)).options.transmitSchedule, undefined, 'a refused one changes nothing')
})
