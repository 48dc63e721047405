/**
 * The receiving end of the interruption test: the product's own parts, in a process that can be killed. It serves one mirror after the other until
 * one is complete: a link that is lost is waited for. Reads its task as JSON from its arguments, writes events as lines of JSON.
 */
import { z } from 'zod'
import { isAppError } from '../../src/errors/app-error.ts'
import { openPosixTargetTree } from '../../src/tree/posix-target-tree.ts'
import { arrivingSources } from './arriving-sources.ts'

const Task = z.object({ source: z.string(), target: z.string(), compare: z.enum(['none', 'attributes', 'data']), stateDirectory: z.string(), sourceId: z.string() })

const tell = (event: object): void => { process.stdout.write(`${JSON.stringify(event)}\n`) }
const signal = new AbortController().signal

async function receive(task: z.infer<typeof Task>): Promise<void> {
  await using target = await openPosixTargetTree(task.target, signal)
  for await (const server of arrivingSources(task.stateDirectory, port => { tell({ event: 'listening', port }) })) {
    try {
      await server.prepare('interrupted', [{ index: 0, path: task.source }], [], signal)
      tell({ event: 'began' })
      const { progress } = await server.mirror({ compare: task.compare, orphans: 'delete' }, new Map([[0, target]]), () => undefined, signal)
      tell({ event: 'mirrored', bytesSent: progress.bytesSent, findings: progress.findings })
      return
    } catch (error) {
      if (!isAppError(error, 'LINK_LOST')) throw error
      tell({ event: 'lost' })
    }
  }
}

try {
  await receive(Task.parse(JSON.parse(process.argv[2] ?? '')))
  process.exit(0)
} catch (error) {
  tell({ event: 'failed', code: isAppError(error) ? error.code : 'INTERNAL', message: error instanceof Error ? error.stack : String(error) })
  process.exit(1)
}
