/** One fuzzing run, in a process of its own: its input lies in a file before it is tried, so that it is known when the process does not come back. */
import { ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { z } from 'zod'
import { randomNumbers } from '../race/random-numbers.ts'
import { openTarget, TARGETS } from './targets.ts'

const Task = z.object({ target: z.enum(TARGETS), seed: z.number(), seconds: z.number(), directory: z.string(), currentFile: z.string(), input: z.string().optional() })

const CHECK_EVERY = 2000
const MAX_GROWTH_BYTES = 768 * 1024 * 1024

const task = Task.parse(JSON.parse(process.argv[2] ?? ''))
const current = openSync(task.currentFile, 'w')
const random = randomNumbers(task.seed)
await using target = await openTarget(task.target, task.directory)
const startBytes = process.memoryUsage().rss
const end = performance.now() + task.seconds * 1000
let runs = 0
const attempt = async (input: Buffer): Promise<void> => {
  ftruncateSync(current, input.length)
  writeSync(current, input, 0, input.length, 0)
  await target.run(input)
  runs++
}
if (task.input !== undefined) await attempt(readFileSync(task.input))
else {
  while (performance.now() < end) {
    await attempt(target.make(random))
    if (runs % CHECK_EVERY !== 0) continue
    await target.check()
    const grownBytes = process.memoryUsage().rss - startBytes
    if (grownBytes > MAX_GROWTH_BYTES) throw new Error(`the process has grown by ${String(grownBytes)} bytes`)
    process.stdout.write('.')
  }
}
await target.check()
process.stdout.write(`\n${String(runs)} runs\n`)
