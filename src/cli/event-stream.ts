/** Server-sent events from the bytes of a stream (WHATWG HTML, 9.2). */
export interface ServerSentEvent { event: string, data: string, id: string | undefined }

const MAX_EVENT_CHARACTERS = 64 << 20

/** Yields each event as its blank line arrives; comments keep the line alive and are dropped; an event cut by the end is dropped. */
export async function* readEvents(chunks: AsyncIterable<Buffer>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  let lines: string[] = []
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true })
    if (rest.length > MAX_EVENT_CHARACTERS) throw new RangeError(`an event is longer than ${String(MAX_EVENT_CHARACTERS)} characters`)
    // a carriage return at the end may be half of a line end: it waits for the next chunk
    const parts = rest.split(/\r\n|\n|\r(?!$)/)
    rest = parts.pop() ?? ''
    for (const line of parts) {
      if (line !== '') {
        lines.push(line)
        continue
      }
      const event = parseEvent(lines)
      lines = []
      if (event !== undefined) yield event
    }
  }
}

function parseEvent(lines: readonly string[]): ServerSentEvent | undefined {
  const data: string[] = []
  let event = 'message'
  let id: string | undefined
  for (const line of lines) {
    if (line.startsWith(':')) continue
    const at = line.indexOf(':')
    const field = at < 0 ? line : line.slice(0, at)
    const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '')
    if (field === 'data') data.push(value)
    if (field === 'event') event = value
    if (field === 'id') id = value
  }
  return data.length === 0 ? undefined : { event, data: data.join('\n'), id }
}
