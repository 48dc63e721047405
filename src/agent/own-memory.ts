/**
 * Gives back memory that the agent holds and nobody needs: buffers that wait to be used again, garbage of V8, and what is free in glibc's heaps. What it
 * does not use any more belongs to the source (measured: npm run bench -- replicate --works memory).
 */
import { memoryUsage } from 'node:process'
import type { Clock } from '../clock/clock.ts'
import { repeatUntilAborted } from '../clock/repeat.ts'
import { native } from '../posix/native.ts'
import { outgoingBodies } from '../wire/body-pool.ts'
import { collectAll } from '../wire/garbage.ts'

const MIB = 1024 * 1024
const LOOK_MS = 1000
/** Below, the agent is small enough. Above, it gives back every so often: some milliseconds of a thread that nobody waits for, and some 40 ms where garbage is to be found. */
const SMALL_BYTES = 160 * MIB
const EVERY_MS = 5000
/** Above, it does so at each look. */
const LARGE_BYTES = 184 * MIB
/** Of buffers, alive or not: more is worth a full collection. V8 makes one when its own heap has grown, outside of which they lie. */
const GARBAGE_BYTES = 8 * MIB
/** A heap that has grown by so much, and so many times, since the last collection is worth one, too. */
const GROWN_BYTES = 8 * MIB
const GROWN_TIMES = 1.3

/** Looks until the signal aborts, and resolves then. */
export async function keepSmall(clock: Clock, signal: AbortSignal): Promise<void> {
  let neededBytes = 0
  let gaveAtMs = -Infinity
  await repeatUntilAborted(async () => {
    const residentBytes = memoryUsage.rss()
    if (residentBytes <= LARGE_BYTES && (residentBytes <= SMALL_BYTES || clock.now() - gaveAtMs < EVERY_MS)) return
    neededBytes = await giveBack(neededBytes)
    gaveAtMs = clock.now()
  }, { clock, pauseMs: LOOK_MS }, signal)
}

/** @param neededBytes of V8's heap after the last collection; @returns the same */
async function giveBack(neededBytes: number): Promise<number> {
  outgoingBodies.freeIdle()
  const { arrayBuffers, heapUsed } = memoryUsage()
  const isWorthIt = arrayBuffers > GARBAGE_BYTES || heapUsed > neededBytes * GROWN_TIMES + GROWN_BYTES
  if (isWorthIt) collectAll()
  const needed = isWorthIt ? memoryUsage().heapUsed : neededBytes
  await native.trimMemory()
  return needed
}
