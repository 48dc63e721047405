import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { loopsBelow } from '../../lab/loop-devices.ts'
import { NODE, RUNS } from '../../lab/paths.ts'
import { waitUntil } from '../../lab/process-identity.ts'
import { mountsBelow, namespaceOf, sweepStaleRuns } from '../../lab/run-directory.ts'
import { tool } from '../../lab/tool.ts'

t.test('what a lab left behind that was killed is cleaned by the next one, frozen file systems and their writer too', async (t) => {
  const doomed = execa(NODE, [new URL('doomed.ts', import.meta.url).pathname], { reject: false, stdin: 'ignore', buffer: false, stderr: 'inherit' })
  t.teardown(() => { doomed.kill('SIGKILL') })
  const [printed] = await once(doomed.stdout, 'data') as unknown[]
  const id = String(printed).trim()
  const path = join(RUNS, id)
  t.equal((await mountsBelow(path)).length, 3, 'it has its file systems mounted')
  doomed.kill('SIGKILL')
  await doomed
  // the writer hangs on the frozen file system
  await sweepStaleRuns()
  // another lab that starts at this moment may be the one that sweeps
  await waitUntil('the run to be swept', 30_000, async () => await stat(path).then(() => false, () => true))
  t.strictSame(await mountsBelow(path), [])
  t.strictSame(await loopsBelow(path), [])
  t.notMatch((await tool('ip', ['netns', 'list'])).stdout, namespaceOf(id))
  const commands = async (): Promise<string[]> => await Promise.all((await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(async pid => (await tool('cat', [`/proc/${pid}/cmdline`], { allowedExitCodes: [1] })).stdout))
  // one that was killed may take its time to end
  await t.resolves(waitUntil('its last process to end', 30_000, async () => !(await commands()).some(command => command.includes(path))), 'no process of it is left')
})
