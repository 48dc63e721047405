/** A lab's source with a writer and frozen file systems, in a process that waits to be killed. Prints its run's id. */
import { join } from 'node:path'
import { createRunDirectory } from '../../lab/run-directory.ts'
import { startSource } from '../../lab/source.ts'
import { tool } from '../../lab/tool.ts'

const run = await createRunDirectory()
const source = await startSource(run, 'gpt', () => undefined, AbortSignal.timeout(300_000))
await source.startWriter(1, 50)
await tool('fsfreeze', ['--freeze', join(source.root, 'data')])
process.stdout.write(`${run.id}\n`)
setInterval(() => undefined, 1000)
