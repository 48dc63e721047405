/**
 * Frees the buffers that a stream leaves behind before V8 takes them for a shortage. A buffer's bytes lie outside the heap and its object
 * in it is tiny, so the young generation is not full for a long time; what V8 notices is the sum of outside bytes, and then it marks the whole
 * heap, again every 25 MB or so: measured, that was more than half of all processor time of a mirror. A collection of the young generation
 * takes half a millisecond and frees the same buffers.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Few enough to hold little memory, and more than is alive at a time: what survives two collections is only freed by a full one. */
const INTERVAL_BYTES = 16 * 1024 * 1024

type Gc = (options: { type: 'minor' | 'major' }) => void

let collect: Gc | undefined
let passedBytes = 0

/** Buffers of so many bytes, together, were made and will soon not be needed any more; sees to it now and then that they are freed. */
export function noteGarbage(bytes: number): void {
  passedBytes += bytes
  if (passedBytes < INTERVAL_BYTES) return
  passedBytes = 0
  collector()({ type: 'minor' })
}

/** Frees all that nobody needs, also what has survived small collections: some 40 ms of the main thread for a heap of 40 MB. */
export function collectAll(): void {
  collector()({ type: 'major' })
}

function collector(): Gc {
  collect ??= exposed()
  return collect
}

function exposed(): Gc {
  setFlagsFromString('--expose-gc')
  const gc: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  if (typeof gc !== 'function') return () => undefined // it only costs time, or memory, then
  return gc as Gc
}
