/** What scenarios of test cutovers ask for and look at. */
import type { TestCutover } from '../../src/domain/test-cutover.ts'
import type { World } from './world.ts'

export const NETWORK = { network: 'Isolated' }

export async function untilTest(world: World, ...states: readonly TestCutover['state'][]): Promise<TestCutover> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const test = world.engine?.list()[0]?.testCutover
    if (test !== undefined && states.includes(test.state)) return test
    if (Date.now() > deadline) throw new Error(`the test did not become ${states.join(' or ')}: ${JSON.stringify(world.engine?.list().map(j => [j.state, j.activity, j.testCutover]))}`)
    await new Promise(resolve => { setImmediate(resolve) })
  }
}

export const mirrors = (world: World): number => world.source.calls.filter(c => c.startsWith('mirror')).length
/** Of the disks those that an undo throws away. */
export const thrownAway = (world: World): string[] => [...world.hypervisor.disks.keys()].filter(path => /-(?:test|meanwhile)\//.test(path))
