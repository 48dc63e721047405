/** A source that is frozen while its agent, the appliance or the network between them fails: it thaws by itself, and a new attempt is complete. */
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemClock } from '../../../src/clock/clock.ts'
import { openLine, type Line } from '../../interrupted/line.ts'
import { differences } from '../../oracle.ts'
import { randomNumbers } from '../../race/random-numbers.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { churn } from '../replication/churn.ts'
import { spawnAgent, until, type Places } from './restarting.ts'
import { SEED } from '../../seed.ts'

const APPLIANCE = fileURLToPath(new URL('appliance-process.ts', import.meta.url))
const HOLD_MS = 4000
/** the hold time, and what a busy machine needs */
const THAWED_MS = HOLD_MS + 20_000
/** of an agent that is killed: its end thaws, so that the hold time must not be what is waited for */
const LONG_HOLD_MS = 120_000
const signal = AbortSignal.timeout(400_000)

type Child = ChildProcessByStdio<Writable, Readable, null>

interface Ends { places: Places, line: Line, agent: ChildProcess, appliance: Child, said: string[] }

/** Starts the appliance's side; what it says is kept. */
async function startAppliance(places: Places, line: Line): Promise<{ appliance: Child, said: string[] }> {
  const appliance = spawn(process.execPath, [APPLIANCE, JSON.stringify(places)], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, LANDFALL_LOG_LEVEL: 'fatal' } })
  const said: string[] = []
  createInterface({ input: appliance.stdout }).on('line', what => { said.push(what) })
  await until('a listening appliance', () => said.length > 0)
  line.leadTo((JSON.parse(said[0] ?? '') as { port: number }).port)
  return { appliance, said }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

const STRIKES = {
  'the agent is killed': async ({ agent }: Ends) => { await end(agent) },
  'the appliance is killed': async ({ appliance }: Ends) => { await end(appliance) },
  'the line is cut': async ({ line }: Ends) => { line.cut() },
  'the line goes silent': async ({ line }: Ends) => { line.silence() },
} satisfies Record<string, (ends: Ends) => Promise<void>>

for (const [what, strike] of Object.entries(STRIKES)) {
  for (const moment of ['when all is drained', 'at a random moment of the drain'] as const) {
    void t.test(`${what} ${moment}: the source serves again and a second attempt is complete (seed ${String(SEED)})`, { skip: MOUNT_SKIP }, async t => {
      await using stack = new AsyncDisposableStack()
      const base = mkdtempSync(join(tmpdir(), 'landfall-frozen-'))
      stack.defer(() => { rmSync(base, { recursive: true, force: true }) })
      const source = stack.use(mountLoop('ext4', 400)).path
      const target = stack.use(mountLoop('ext4', 400)).path
      const line = stack.use(await openLine())
      const places: Places = { base, source, replica: join(target, 'replica'), linePort: line.port }
      for (const directory of [places.replica, join(source, 'churned')]) mkdirSync(directory)
      const { appliance, said } = await startAppliance(places, line)
      stack.defer(async () => { await end(appliance) })
      const agent = spawnAgent(places)
      stack.defer(async () => { await end(agent) })
      await until('protection', () => said.includes('protecting'))
      const writer = stack.use(churn(join(source, 'churned'), SEED, 1_000_000, 500))

      appliance.stdin.write(`drain ${String(what === 'the agent is killed' ? LONG_HOLD_MS : HOLD_MS)}\n`)
      if (moment === 'when all is drained') {
        await until('the drain', () => said.length > 2)
        t.equal(said[2], 'drained')
      } else await systemClock.sleep(randomNumbers(SEED)(2000), signal)
      const late = join(source, 'late')
      const write = writeFile(late, 'waits for the thaw')
      const isFrozen = await Promise.race([write.then(() => false), systemClock.sleep(200, signal).then(() => true)])
      if (moment === 'when all is drained') t.ok(isFrozen, 'it is frozen')
      else t.comment({ isFrozen })
      await strike({ places, line, agent, appliance, said })
      t.ok(await Promise.race([write.then(() => true), systemClock.sleep(THAWED_MS, signal).then(() => false)]), 'it serves again')

      await end(appliance)
      line.cut()
      await writer[Symbol.asyncDispose]()
      await end(agent)
      const second = await startAppliance(places, line)
      stack.defer(async () => { await end(second.appliance) })
      const again = spawnAgent(places)
      stack.defer(async () => { await end(again) })
      await until('protection again', () => second.said.includes('protecting'))
      second.appliance.stdin.write('drain 60000\n')
      await until('the second drain', () => second.said.length > 2)
      t.equal(second.said[2], 'drained')
      t.same(await differences(source, places.replica), [])
      await end(again)
    })
  }
}
