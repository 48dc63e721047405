/** Scripts in the stream of a job, in the user's words, on in-memory versions of everything around it. */
import t from 'tap'
import type { UserTask } from '../../src/domain/user-task.ts'
import { World } from './world.ts'

async function ended(world: World): Promise<UserTask> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const task = world.engine?.list()[0]?.userTasks?.[0]
    if (task !== undefined && task.state !== 'waiting' && task.state !== 'running') return task
    if (Date.now() > deadline) throw new Error(`the task does not end: ${JSON.stringify(task)}`)
    await new Promise(resolve => { setImmediate(resolve) })
  }
}

const TASK = { script: 'snapshot', arguments: ['a b', '-x'], timeoutMs: 5000 }

t.test('a task runs once, behind what was captured before it, and its end is told', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  world.source.holdBarrier = true
  await engine.addUserTask(id, TASK)
  while (!world.source.calls.includes('barrier')) await new Promise(resolve => { setImmediate(resolve) })
  t.same(world.scriptRuns, [])
  world.source.holdBarrier = false
  world.source.disconnect()
  world.source.connect()
  t.match(await ended(world), { state: 'done', exitCode: 0, output: 'done' })
  t.same(world.scriptRuns, ['snapshot a b -x'])
  t.ok((await engine.history(id, 0, 1000)).some(event => event.kind === 'user-task' && event.message.includes('done, exit code 0')))
})

t.test('one that fails or takes too long is told so, and the job goes on', async t => {
  for (const [result, state] of [[{ exitCode: 7, timedOut: false, output: 'no' }, 'failed'], [{ exitCode: undefined, timedOut: true, output: 'begun' }, 'timed-out']] as const) {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect()
    world.scriptResult = result
    await engine.addUserTask(id, TASK)
    t.match(await ended(world), { state, output: result.output })
    t.equal((await engine.get(id)).state, 'protecting')
  }
})

t.test('tasks that wait at a cutover run in their order before the source is frozen', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  world.source.holdBarrier = true
  await engine.addUserTask(id, TASK)
  await engine.addUserTask(id, { ...TASK, script: 'second' })
  while (!world.source.calls.includes('barrier')) await new Promise(resolve => { setImmediate(resolve) })
  world.source.holdBarrier = false
  await engine.act(id, 'cutover')
  const done = await world.until('completed', 'failed')
  t.equal(done?.state, 'completed')
  t.same(world.scriptRuns, ['snapshot a b -x', 'second a b -x'])
  t.same(done?.userTasks?.map(({ state }) => state), ['done', 'done'])
  t.ok(world.source.calls.lastIndexOf('barrier') < world.source.calls.indexOf('drain'))
  t.same(world.violations, [])
})

t.test('a job without a stream takes no task, and one takes no more than fifty that wait', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.createJob()
  await t.rejects(engine.addUserTask(id, TASK), { code: 'JOB_TRANSITION_INVALID' })
  await engine.act(id, 'remove')
  await using other = new World()
  const second = await other.start()
  const job = await other.protect()
  other.source.holdBarrier = true
  for (let i = 0; i < 50; i++) await second.addUserTask(job.id, TASK)
  await t.rejects(second.addUserTask(job.id, TASK), { code: 'TASKS_FULL' })
})
