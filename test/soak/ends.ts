/** Agent and receiver of the soak as processes that can be ended, halted and started again, and the line between them. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { storeIdentity } from '../../src/agent/identity.ts'
import { systemClock } from '../../src/clock/clock.ts'
import { openCertificateAuthority } from '../../src/trust/certificate-authority.ts'
import { makeKeyAndCsr } from '../../src/trust/key.ts'
import { openLine, type Line } from '../interrupted/line.ts'
import { AGENT } from '../lab/paths.ts'
import { SoakEvent, SOURCE_ID, type SoakOrder } from './protocol.ts'

const RECEIVER = new URL('receiver.ts', import.meta.url).pathname

export class Ends implements AsyncDisposable {
  readonly line: Line
  readonly #folder: string
  readonly #task: { source: string, target: string }
  readonly #onEvent: (event: SoakEvent) => void
  #agent: ChildProcess | undefined
  #receiver: ChildProcess | undefined
  #drainAsked = false

  private constructor(line: Line, folder: string, task: { source: string, target: string }, onEvent: (event: SoakEvent) => void) {
    this.line = line
    this.#folder = folder
    this.#task = task
    this.#onEvent = onEvent
  }

  /** Keeps its state and its logs in the folder. */
  static async open(folder: string, task: { source: string, target: string }, onEvent: (event: SoakEvent) => void): Promise<Ends> {
    const ends = new Ends(await openLine(), folder, task, onEvent)
    for (const name of ['authority', 'agent', 'receiver']) mkdirSync(join(folder, name), { mode: 0o700 })
    const authority = await openCertificateAuthority(join(folder, 'authority'), systemClock.now())
    const { keyPem, csrPem } = await makeKeyAndCsr(SOURCE_ID)
    await storeIdentity(join(folder, 'agent'), { sourceId: SOURCE_ID, applianceHost: '127.0.0.1', replicationPort: ends.line.port, keyPem, certificatePem: await authority.issueAgent(csrPem, SOURCE_ID), caPem: authority.certificatePem })
    writeFileSync(join(folder, 'agent.json'), JSON.stringify({ stateDirectory: join(folder, 'agent'), powerOff: 'none', capture: 'fanotify' }))
    return ends
  }

  startAgent(): void {
    this.#agent = this.#spawn('agent', [AGENT, 'run', '--config', join(this.#folder, 'agent.json')])
  }

  startReceiver(): void {
    const task = { ...this.#task, authority: join(this.#folder, 'authority'), stateDirectory: join(this.#folder, 'receiver') }
    const receiver = this.#spawn('receiver', [RECEIVER, JSON.stringify(task)])
    this.#receiver = receiver
    if (this.#drainAsked) this.order({ order: 'drain' })
    if (receiver.stdout === null) return
    createInterface({ input: receiver.stdout }).on('line', line => {
      const event = SoakEvent.parse(JSON.parse(line))
      if (event.event === 'listening') this.line.leadTo(event.port)
      this.#onEvent(event)
    })
  }

  /** Sends the agent this signal and waits for its end. */
  async endAgent(how: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await end(this.#agent, how)
  }

  async killReceiver(): Promise<void> {
    this.line.leadTo(undefined)
    await end(this.#receiver, 'SIGKILL')
    this.line.cut()
  }

  haltAgent(): void { this.#agent?.kill('SIGSTOP') }
  resumeAgent(): void { this.#agent?.kill('SIGCONT') }

  /** Also a receiver that is started later is asked for a drain. */
  order(order: SoakOrder): void {
    if (order.order === 'drain') this.#drainAsked = true
    this.#receiver?.stdin?.write(`${JSON.stringify(order)}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resumeAgent()
    await this.endAgent('SIGKILL')
    await this.killReceiver()
    await this.line[Symbol.asyncDispose]()
  }

  #spawn(name: string, args: readonly string[]): ChildProcess {
    const log = openSync(join(this.#folder, `${name}.log`), 'a', 0o600)
    try {
      return spawn(process.execPath, args, { stdio: ['pipe', name === 'receiver' ? 'pipe' : log, log] })
    } finally {
      closeSync(log)
    }
  }
}

function isRunning(child: ChildProcess | undefined): boolean {
  return child?.exitCode === null && child.signalCode === null
}

async function end(child: ChildProcess | undefined, how: NodeJS.Signals): Promise<void> {
  if (child === undefined || !isRunning(child)) return
  const exit = once(child, 'exit')
  child.kill(how)
  await exit
}
