/** A deadline for an answer that may stand behind data: on a slow or limited line that alone can take half an hour. */
import type { Link } from './link.ts'

/** More than signs of life and reports bring; the least bandwidth brings three times as much in a minute. */
const DATA_BYTES_PER_MS = 1
/** All data that a peer may have under way, at the least bandwidth, is here by then: nobody waits for ever because somebody talks for ever. */
const LONGEST_MS = 60 * 60_000

/** Aborts its signal when no answer, which its user notes by disposing of it, has come for `ms`, and no data either. */
export function whenSilent(link: Pick<Link, 'bytesReceived'>, ms: number): Disposable & { readonly signal: AbortSignal } {
  const late = new AbortController()
  let before = link.bytesReceived
  let waitedMs = 0
  const timer = setInterval(() => {
    const heard = link.bytesReceived - before
    before += heard
    waitedMs += ms
    if (heard >= ms * DATA_BYTES_PER_MS && waitedMs < LONGEST_MS) return
    clearInterval(timer)
    late.abort()
  }, ms)
  timer.unref()
  return { signal: late.signal, [Symbol.dispose]: () => { clearInterval(timer) } }
}
