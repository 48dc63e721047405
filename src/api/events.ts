/** Server-sent events: writes what an endpoint yields, as fast as the client reads, with a sign of life while nothing happens. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { StreamEvent } from './endpoint.ts'

const HEARTBEAT_MS = 15_000

/** Ends when the events end or the signal aborts (the client is gone or the server stops). Errors before the first event are the caller's to answer. */
export async function writeEvents(response: ServerResponse, events: AsyncIterable<StreamEvent>, signal: AbortSignal): Promise<void> {
  const iterator = events[Symbol.asyncIterator]()
  // the first one decides whether this is a stream or a problem
  let next = await iterator.next()
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' })
  const heartbeat = setInterval(() => { response.write(': alive\n\n') }, HEARTBEAT_MS)
  try {
    while (next.done !== true) {
      if (!response.write(textOf(next.value))) await once(response, 'drain', { signal })
      next = await iterator.next()
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    clearInterval(heartbeat)
    await iterator.return?.()
    response.end()
  }
}

/** JSON has no line breaks, so that one data line holds it. */
function textOf({ event, id, data }: StreamEvent): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
