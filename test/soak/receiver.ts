/**
 * The receiving end of the soak: the product's own parts, in a process that can be killed at any moment and started again. It does what a job
 * does: a mirror when there was none or the capture began anew, then replication, over as many connections as it takes, and a drain when its
 * standard input says so. What it has to remember is in its state directory. Writes events as lines of JSON.
 */
import { writeFileSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import type { Finding } from '../../src/domain/finding.ts'
import type { Job } from '../../src/domain/job.ts'
import type { ReplicationProgress } from '../../src/domain/progress.ts'
import { isAppError } from '../../src/errors/app-error.ts'
import { settledBefore, settledNow } from '../../src/job/settled.ts'
import type { SourceServer, Targets } from '../../src/source/source-server.ts'
import { openPosixTargetTree } from '../../src/tree/posix-target-tree.ts'
import { arrivingSources } from '../interrupted/arriving-sources.ts'
import { Orders } from './orders.ts'
import { ReceiverTask, SoakOrder, type SoakEvent } from './protocol.ts'

const JOB = 'soak'
const FULL_PAUSE_MS = 300
const HOLD_MS = 60_000

const tell = (event: SoakEvent): void => { process.stdout.write(`${JSON.stringify(event)}\n`) }
const signal = new AbortController().signal
const orders = new Orders()
createInterface({ input: process.stdin }).on('line', line => { orders.obey(SoakOrder.parse(JSON.parse(line))) })

/** Which capture the replica goes with; a mirror that is not complete goes with none. */
class Memory {
  readonly #file: string
  readonly #mirrored: string
  readonly #settled: string
  constructor(directory: string) {
    this.#file = join(directory, 'epoch')
    this.#mirrored = join(directory, 'mirrored')
    this.#settled = join(directory, 'settled')
  }

  async epoch(): Promise<string | undefined> { return await readFile(this.#file, 'utf8').catch(() => undefined) }
  async mirrored(): Promise<boolean> { return await readFile(this.#mirrored).then(() => true, () => false) }
  async forget(): Promise<void> { await rm(this.#file, { force: true }) }
  async settled(): Promise<Job['settled']> { return await readFile(this.#settled, 'utf8').then(text => JSON.parse(text) as Job['settled'], () => undefined) }
  /** Written at once: a report is seldom, and this process may be killed behind it. */
  settle(captureEpoch: string, { recoveryPointLatencyMs }: ReplicationProgress): void { writeFileSync(this.#settled, JSON.stringify(settledNow(captureEpoch, Date.now(), recoveryPointLatencyMs))) }
  async keep(epoch: string): Promise<void> {
    await writeFile(this.#mirrored, '')
    await writeFile(this.#file, epoch)
  }
}

/** Mirrors when that is needed, then replicates, until the signal aborts or a drain is asked for. */
async function flow(server: SourceServer, source: string, targets: Targets, memory: Memory, flowing: AbortSignal): Promise<void> {
  const { captureEpoch } = await server.prepare(JOB, [{ index: 0, path: source, mountPoint: '/' }], [], signal)
  if (captureEpoch !== await memory.epoch()) {
    await memory.forget()
    const compare = await memory.mirrored() ? 'attributes' : 'none'
    tell({ event: 'mirroring', compare })
    const { findings } = await server.mirror({ compare, orphans: 'delete' }, targets, (mirrored, news, _, progress) => {
      found(mirrored, news)
      if (progress !== undefined) memory.settle(captureEpoch, progress)
    }, flowing, { settledBeforeMs: settledBefore({ settled: await memory.settled() }, captureEpoch) })
    found(undefined, findings)
    await memory.keep(captureEpoch)
  }
  tell({ event: 'replicating' })
  if (orders.drain.aborted) return
  await server.replicate(targets, (progress, news) => {
    found(progress, news)
    memory.settle(captureEpoch, progress)
  }, AbortSignal.any([flowing, orders.drain]))
}

function found(_: unknown, findings: readonly Finding[]): void {
  for (const finding of findings) tell({ event: 'finding', text: `${finding.code} ${finding.subject}: ${finding.message}` })
}

async function serve(server: SourceServer, source: string, targets: Targets, memory: Memory): Promise<boolean> {
  await orders.limit(server, signal)
  for (;;) {
    const flowing = await orders.flowing()
    try {
      await flow(server, source, targets, memory, flowing)
    } catch (error) {
      if (!flowing.aborted || error !== flowing.reason) throw error
    }
    if (orders.takeStop()) {
      await memory.forget()
      await server.release(signal)
    } else if (!flowing.aborted) break
  }
  const { changes, drainMs, progress } = await server.drain({ freeze: false, holdMs: HOLD_MS }, targets, found, signal)
  tell({ event: 'drained', changes, drainMs, latencyMsP99: progress.latencyMsP99 })
  return true
}

async function receive(task: ReceiverTask): Promise<void> {
  const memory = new Memory(task.stateDirectory)
  for await (const server of arrivingSources(task.authority, port => { tell({ event: 'listening', port }) })) {
    for (let over = false; !over;) {
      // opened for each attempt, as a job's step does
      await using target = await openPosixTargetTree(task.target, signal)
      try {
        if (await serve(server, task.source, new Map([[0, target]]), memory)) return
      } catch (error) {
        if (!isAppError(error)) throw error
        tell({ event: 'interrupted', code: error.code, message: error.message })
        if (error.code === 'CAPTURE_OVERFLOW') await memory.forget()
        else if (error.code === 'LINK_LOST' || server.ended.aborted) over = true
        else if (error.code !== 'REPLICA_FULL') throw error
        await pause(FULL_PAUSE_MS)
      }
    }
  }
}

try {
  await receive(ReceiverTask.parse(JSON.parse(process.argv[2] ?? '')))
  process.exit(0)
} catch (error) {
  tell({ event: 'failed', code: isAppError(error) ? error.code : 'INTERNAL', message: error instanceof Error ? error.stack ?? error.message : String(error) })
  process.exit(1)
}
