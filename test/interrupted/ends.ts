/** The two processes of a mirror that gets interrupted, and the line between them. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { storeIdentity } from '../../src/agent/identity.ts'
import { systemClock } from '../../src/clock/clock.ts'
import { openCertificateAuthority } from '../../src/trust/certificate-authority.ts'
import { makeKeyAndCsr } from '../../src/trust/key.ts'
import { openLine, type Line } from './line.ts'

const LIMIT_MS = 60_000
const SOURCE_ID = 'interrupted'

export const Event = z.discriminatedUnion('event', [
  z.object({ event: z.literal('listening'), port: z.number() }), z.object({ event: z.literal('began') }), z.object({ event: z.literal('lost') }),
  z.object({ event: z.literal('mirrored'), bytesSent: z.number(), findings: z.number() }),
  z.object({ event: z.literal('failed'), code: z.string(), message: z.string() }),
])
export type Event = z.infer<typeof Event>
export interface MirrorTask { source: string, target: string, compare: 'none' | 'attributes' | 'data' }

class Process {
  readonly #child: ChildProcess
  readonly #events: Event[] = []
  #ended = false
  #wake = (): void => undefined

  constructor(script: string, argument: object, onEvent: (event: Event) => void) {
    this.#child = spawn(process.execPath, [new URL(script, import.meta.url).pathname, JSON.stringify(argument)], { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, LANDFALL_LOG_LEVEL: 'fatal' } })
    this.#child.on('exit', () => { this.#ended = true; this.#wake() })
    const { stdout } = this.#child
    if (stdout !== null) {
      createInterface({ input: stdout }).on('line', line => {
        const event = Event.parse(JSON.parse(line))
        onEvent(event)
        this.#events.push(event)
        this.#wake()
      })
    }
  }

  get isRunning(): boolean { return !this.#ended }

  /** The next event of one of these kinds, or undefined when the process has ended before. */
  async next(kinds: readonly Event['event'][]): Promise<Event | undefined> {
    const late = AbortSignal.timeout(LIMIT_MS)
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) {
        if (kinds.includes(event.event)) return event
        continue
      }
      if (this.#ended) return undefined
      if (late.aborted) throw new Error(`no ${kinds.join(' or ')} within ${String(LIMIT_MS)} ms`)
      await new Promise<void>(resolve => {
        this.#wake = resolve
        late.addEventListener('abort', () => { resolve() }, { once: true })
      })
    }
  }

  /** kill -9; resolves when it has ended */
  async kill(): Promise<void> {
    if (this.#ended) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }
}

export class Ends implements AsyncDisposable {
  readonly line: Line
  readonly #base: string
  #agent: Process | undefined
  #receiver: Process | undefined
  #outcome: Promise<Event | undefined> | undefined
  #onBegun: () => void = () => undefined

  private constructor(line: Line, base: string) {
    this.line = line
    this.#base = base
  }

  static async open(base: string): Promise<Ends> {
    const line = await openLine()
    const ends = new Ends(line, base)
    for (const directory of [ends.#authority, ends.#identity]) mkdirSync(directory, { mode: 0o700 })
    const authority = await openCertificateAuthority(ends.#authority, systemClock.now())
    const { keyPem, csrPem } = await makeKeyAndCsr('interrupted')
    await storeIdentity(ends.#identity, { sourceId: SOURCE_ID, applianceHost: '127.0.0.1', replicationPort: line.port, keyPem, certificatePem: await authority.issueAgent(csrPem, SOURCE_ID), caPem: authority.certificatePem })
    return ends
  }

  get #authority(): string { return join(this.#base, 'authority') }
  get #identity(): string { return join(this.#base, 'identity') }

  /** Starts what does not run; `onBegun` is called when the mirror begins. */
  begin(task: MirrorTask, onBegun: () => void): void {
    if (this.#agent?.isRunning !== true) this.#agent = new Process('agent.ts', { stateDirectory: this.#identity, powerOff: 'none', capture: 'none' }, () => undefined)
    this.#onBegun = onBegun
    if (this.#receiver?.isRunning === true) return
    this.#outcome = undefined
    this.#receiver = new Process('receiver.ts', { ...task, stateDirectory: this.#authority, sourceId: SOURCE_ID }, event => {
      if (event.event === 'listening') this.line.leadTo(event.port)
      if (event.event === 'began') this.#onBegun()
    })
  }

  /** How the receiver ended: its last word, or undefined when it was killed. A link that is lost does not end it. */
  async outcome(): Promise<Event | undefined> {
    this.#outcome ??= lastWord(this.#receiver)
    return await this.#outcome
  }

  async killAgent(): Promise<void> { await this.#agent?.kill() }

  async killReceiver(): Promise<void> {
    this.line.leadTo(undefined)
    await this.#receiver?.kill()
    this.line.cut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killAgent()
    await this.killReceiver()
    await this.line[Symbol.asyncDispose]()
  }
}

/** A receiver that has said it is on its way out: it is gone when this resolves. */
async function lastWord(receiver: Process | undefined): Promise<Event | undefined> {
  const event = await receiver?.next(['mirrored', 'failed'])
  await receiver?.kill()
  return event
}
