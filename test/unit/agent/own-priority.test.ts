import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { OwnPriority } from '../../../src/agent/own-priority.ts'

const MODULE = new URL('../../../src/agent/own-priority.ts', import.meta.url).href
/** Tells what its session's group is when it begins, has stepped back, and has come forward. */
const STEPS = `
  import { readFileSync } from 'node:fs'
  import { OwnPriority } from '${MODULE}'
  const own = new OwnPriority()
  const tell = () => console.log(readFileSync('/proc/self/autogroup', 'utf8').trim().split(' ').slice(1).join(' '))
  tell()
  own.set(own.lowest + 7)
  tell()
  own.set(own.lowest)
  tell()
`
const unprivileged = process.getuid?.() === 0 ? false : 'needs root to come forward'
const ungrouped = existsSync('/proc/self/autogroup') ? false : 'the kernel makes no group of a session'

void t.test('the group of a session that it leads steps back with it, and comes forward', { skip: unprivileged || ungrouped }, async t => {
  const run = async (detached: boolean): Promise<string[]> => (await execa(process.execPath, ['--input-type=module', '-e', STEPS], { detached })).stdout.split('\n')
  t.same(await run(true), ['nice 0', 'nice 7', 'nice 0'])
  const ofOthers = await run(false)
  t.same(ofOthers, Array(3).fill(ofOthers[0]), 'a session of somebody else is left alone')
})

void t.test('a service steps back by its share, where it has one', { skip: unprivileged }, async t => {
  const lowest = getPriority()
  t.teardown(() => { setPriority(lowest) })
  const folder = t.testdir({ self: { cgroup: '3:cpu,cpuacct:/system.slice/landfall-agent.service\n2:memory:/system.slice/landfall-agent.service\n0::/system.slice/landfall-agent.service\n' } })
  const share = (root: string, name: string, value: string): string => {
    const at = join(folder, 'groups', root, 'system.slice/landfall-agent.service')
    mkdirSync(at, { recursive: true })
    writeFileSync(join(at, name), value)
    return join(at, name)
  }
  const files = [share('cpu,cpuacct', 'cpu.shares', '1024\n'), share('', 'cpu.weight.nice', '-5\n'), share('memory', 'cpu.shares', '1024\n')]
  const values = (): number[] => files.map(file => Number(readFileSync(file, 'utf8')))
  const places = { self: join(folder, 'self'), controlGroups: join(folder, 'groups') }
  const own = new OwnPriority({ ...places, isStartedByInit: true })
  t.ok(own.set(lowest + 5))
  t.same(values(), [336, 0, 1024])
  t.ok(own.set(lowest))
  t.same(values(), [1024, -5, 1024])
  new OwnPriority({ ...places, isStartedByInit: false }).set(lowest + 5)
  t.same(values(), [1024, -5, 1024], 'a service that it is only a part of is left alone')
})

void t.test('where there is no group, its threads step back alone', { skip: unprivileged }, async t => {
  const own = new OwnPriority({ self: join(t.testdir(), 'none') })
  t.ok(own.set(own.lowest + 3))
  t.equal(getPriority(), own.lowest + 3)
  t.ok(own.set(own.lowest))
})
