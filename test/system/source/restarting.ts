/** A source whose agent is a process that is ended and started again, and the appliance's part of a job that protects it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { storeIdentity } from '../../../src/agent/identity.ts'
import { systemClock } from '../../../src/clock/clock.ts'
import type { DegradationKind } from '../../../src/domain/degradation.ts'
import type { CapturePosition } from '../../../src/domain/progress.ts'
import { isAppError } from '../../../src/errors/app-error.ts'
import { linkLog } from '../../../src/logging/logger.ts'
import { openLinkIdentity } from '../../../src/posix/linking.ts'
import { openSourceListener, type SourceListener } from '../../../src/source/source-listener.ts'
import type { SourceServer } from '../../../src/source/source-server.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import type { TargetTree } from '../../../src/tree/target-tree.ts'
import { openCertificateAuthority } from '../../../src/trust/certificate-authority.ts'
import { makeKeyAndCsr } from '../../../src/trust/key.ts'
import { acceptTlsLink } from '../../../src/wire/tls-link.ts'

const AGENT = fileURLToPath(new URL('../../../src/bin/agent.ts', import.meta.url))
const SOURCE_ID = 'restarting'
const VOLUME = 0

/** linePort: where the agent reaches the appliance, when there is a line between them; ignoreDeletes: what vanishes stays on the replica */
export interface Places { base: string, source: string, replica: string, linePort?: number, ignoreDeletes?: boolean }

export class Protection implements AsyncDisposable {
  readonly #places: Places
  readonly #target: TargetTree
  readonly #resources: AsyncDisposableStack
  #listener: SourceListener | undefined
  #agent: ChildProcess | undefined
  #server: SourceServer | undefined
  #arrived = Promise.withResolvers<undefined>()
  #epoch = ''
  /** mirrors that were made because the capture had another epoch */
  mirrors = 0
  /** over all connections since the mirror, without what this one has sent */
  #sentBefore = 0
  #sent = 0
  /** how far the agent has told that it is */
  #position: CapturePosition | undefined
  readonly seen = new Set<DegradationKind>()
  #degraded: readonly DegradationKind[] = []
  /** what each report of the agent that runs now, or ran last, has shown */
  shown: (readonly DegradationKind[])[] = []
  /** figures of the connection now are there */
  #reported = false

  private constructor(places: Places, target: TargetTree, resources: AsyncDisposableStack) {
    this.#places = places
    this.#target = target
    this.#resources = resources
  }

  static async open(places: Places, signal: AbortSignal): Promise<Protection> {
    await using opening = new AsyncDisposableStack()
    const target = opening.use(await openPosixTargetTree(places.replica, signal))
    for (const directory of ['authority', 'state']) mkdirSync(join(places.base, directory), { mode: 0o700, recursive: true })
    const authority = await openCertificateAuthority(join(places.base, 'authority'), systemClock.now())
    const identity = openLinkIdentity({ ...await authority.issueServer(['localhost', '127.0.0.1']), caPem: authority.certificatePem })
    const protection = new Protection(places, target, opening.move())
    const listener = await openSourceListener({
      host: '127.0.0.1', port: 0, openLink: async (socket, inner) => await acceptTlsLink(identity, socket, inner), isEnrolled: async () => true,
      onConnected: async server => { protection.#connected(server) }, applianceVersion: 'test', clock: systemClock, log: linkLog,
    })
    protection.#listener = listener
    const config = configFile(places)
    if (existsSync(config)) return protection
    const { keyPem, csrPem } = await makeKeyAndCsr(SOURCE_ID)
    await storeIdentity(join(places.base, 'state'), { sourceId: SOURCE_ID, applianceHost: '127.0.0.1', replicationPort: places.linePort ?? listener.port, keyPem, certificatePem: await authority.issueAgent(csrPem, SOURCE_ID), caPem: authority.certificatePem })
    writeFileSync(config, JSON.stringify({ stateDirectory: join(places.base, 'state'), root: places.source, powerOff: 'none' }))
    return protection
  }

  get port(): number { return this.#listener?.port ?? 0 }

  get bytesSent(): number { return this.#sentBefore + this.#sent }

  startAgent(): void {
    this.shown = []
    this.#agent = spawnAgent(this.#places)
  }

  /** It has ended when this resolves. */
  async endAgent(how: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const agent = this.#agent
    if (agent === undefined) return
    const ended = once(agent, 'exit')
    agent.kill(how)
    await ended
    this.#agent = undefined
    this.#reported = false
  }

  /** what the agent that runs now has read so far, its own program included */
  get bytesRead(): number {
    const of = /^rchar: (\d+)$/m.exec(readFileSync(`/proc/${String(this.#agent?.pid)}/io`, 'utf8'))
    return Number(of?.[1])
  }

  /** Mirrors where it must, replicates, and does so again with each connection, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const isOver = (): boolean => signal.aborted
    while (!isOver()) {
      try {
        const server = await this.#next(signal)
        if (this.#places.ignoreDeletes === true) await server.transmit({ compression: 'off', ignoreDeletes: true }, signal)
        const reached = this.#position === undefined ? undefined : { captureEpoch: this.#epoch, position: this.#position }
        const { captureEpoch } = await server.prepare('job', [{ index: VOLUME, path: '/' }], [], signal, { reached })
        if (captureEpoch !== this.#epoch) {
          await server.mirror({ compare: 'attributes', orphans: 'delete' }, this.#targets, () => undefined, signal)
          this.mirrors++
          this.#epoch = captureEpoch
        }
        this.#sentBefore += this.#sent
        this.#sent = 0
        const base = { bytes: -1 }
        await server.replicate(this.#targets, ({ bytesSent, position, degraded = [] }) => {
          this.#position = position
          // the first report comes before anything is sent by this replication, but behind a mirror
          if (base.bytes < 0) base.bytes = bytesSent
          this.#sent = bytesSent - base.bytes
          this.#degraded = degraded.map(({ kind }) => kind)
          for (const kind of this.#degraded) this.seen.add(kind)
          this.shown.push(this.#degraded)
          this.#reported = true
        }, signal)
      } catch (error) {
        this.#reported = false
        if (!isOver() && !isAppError(error, 'LINK_LOST')) throw error
      }
    }
  }

  /** Runs until what this answers is called, or `stack` is disposed of; that resolves when it has ended. */
  keepRunning(stack: AsyncDisposableStack): () => Promise<void> {
    const over = new AbortController()
    const running = this.run(over.signal)
    running.catch(() => undefined)
    const end = async (): Promise<void> => {
      over.abort()
      await running
    }
    stack.defer(end)
    return end
  }

  /** The agent that runs now replicates, and has made good what was missed. */
  get isProtecting(): boolean { return this.#reported && this.#degraded.length === 0 }

  /** With a hold time the source is frozen, and nobody holds it. */
  async drain(signal: AbortSignal, holdMs?: number): Promise<void> {
    await (await this.#next(signal)).drain({ freeze: holdMs !== undefined, holdMs: holdMs ?? 30_000 }, this.#targets, () => undefined, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endAgent('SIGKILL')
    await this.#listener?.[Symbol.asyncDispose]()
    await this.#resources.disposeAsync()
  }

  get #targets(): ReadonlyMap<number, TargetTree> { return new Map([[VOLUME, this.#target]]) }

  #connected(server: SourceServer): void {
    this.#server = server
    this.#arrived.resolve(undefined)
    this.#arrived = Promise.withResolvers()
  }

  async #next(signal: AbortSignal): Promise<SourceServer> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#server?.ended.aborted === false) return this.#server
      const aborted = Promise.withResolvers<undefined>()
      signal.addEventListener('abort', () => { aborted.resolve(undefined) }, { once: true })
      await Promise.race([this.#arrived.promise, aborted.promise])
    }
  }
}

function configFile({ base }: Places): string {
  return join(base, 'agent.json')
}

/** The places were opened before. */
export function spawnAgent(places: Places): ChildProcess {
  return spawn(process.execPath, [AGENT, 'run', '--config', configFile(places)], { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, LANDFALL_LOG_LEVEL: process.env['LANDFALL_LOG_LEVEL'] ?? 'fatal' } })
}

/** Waits for a condition. */
export async function until(what: string, condition: () => boolean, limitMs = 120_000): Promise<void> {
  for (const deadline = Date.now() + limitMs; !condition();) {
    if (Date.now() > deadline) throw new Error(`not within ${String(limitMs)} ms: ${what}`)
    await systemClock.sleep(20, new AbortController().signal)
  }
}
