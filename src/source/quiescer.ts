/**
 * Brings the source's applications to rest before a freeze, and up again when the cutover is undone. Which services it has stopped is on
 * the source's disk before it stops them: an agent that died in between starts them when it runs again.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { InTurn } from '../clock/in-turn.ts'
import type { Runner } from '../command/runner.ts'
import { isUnitActive, startUnit, stopUnit } from '../command/systemctl.ts'
import { ServiceUnit, type Quiesce } from '../domain/quiesce.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { Logger } from '../logging/logger.ts'
import type { QuiesceNote } from '../wire/messages.ts'
import { runPreScript } from './pre-script.ts'

export interface QuiescerSeams {
  runner: Runner
  log: Logger
  /** where the source's administrator puts scripts */
  scriptsDirectory: string
  /** remembers the stopped services */
  stateFile: string
}

const Stopped = z.strictObject({ version: z.literal(1), services: z.array(ServiceUnit).max(64) })
const START_MS = 600_000

export class Quiescer {
  readonly #seams: QuiescerSeams
  /** in the order in which they were stopped */
  #stopped: string[] = []
  /** what was stopped stays so, and the list on the disk is still to go */
  #finished = false
  readonly #restores = new InTurn()

  constructor(seams: QuiescerSeams) {
    this.#seams = seams
  }

  /**
   * Runs the scripts, then stops those of the services that run. `note` is told of each step.
   * @returns when the first service was stopped, milliseconds since the epoch
   * @throws {AppError} PRE_SCRIPT_INVALID, PRE_SCRIPT_FAILED; SERVICE_STOP_FAILED: call `restore`
   */
  async quiesce({ scripts, services }: Quiesce, note: (note: QuiesceNote) => Promise<void>, signal: AbortSignal): Promise<number | undefined> {
    const { runner, scriptsDirectory } = this.#seams
    for (const script of scripts) {
      const { output, durationMs } = await runPreScript(runner, scriptsDirectory, script, signal)
      await note({ kind: 'pre-script', message: `${script.name} succeeded in ${String(Math.round(durationMs))} ms${output === '' ? '' : `: ${output}`}` })
    }
    let stoppedAtMs: number | undefined
    for (const unit of services) {
      try {
        if (!await isUnitActive(runner, unit, signal)) continue
        stoppedAtMs ??= Date.now()
        await this.#remember([...this.#stopped, unit])
        await stopUnit(runner, unit, signal)
      } catch (error) {
        signal.throwIfAborted()
        throw new AppError('SERVICE_STOP_FAILED', `cannot stop ${unit}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      }
    }
    if (services.length > 0) await note({ kind: 'services-stopped', message: this.#stopped.length === 0 ? 'none of the services was running' : this.#stopped.join(', ') })
    return stoppedAtMs
  }

  /** Starts what was stopped, the last first. Never rejects: what cannot be started is said and tried again when the agent starts. */
  async restore(): Promise<readonly QuiesceNote[]> {
    return await this.#restores.run(async () => await this.#restore())
  }

  /** Starts what an agent that died before had stopped. */
  async recover(): Promise<void> {
    try {
      this.#stopped = Stopped.parse(JSON.parse(await readFile(this.#seams.stateFile, 'utf8'))).services
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
      this.#seams.log.error({ err: error }, 'the list of the services that were stopped cannot be read')
      return
    }
    await this.restore()
  }

  /** The cutover is complete: what was stopped stays so. The list on the disk goes when it can be written to: with the next `restore` where it is frozen. */
  async finish({ frozen }: { frozen: boolean }): Promise<void> {
    this.#stopped = []
    this.#finished = frozen
    if (!frozen) await rm(this.#seams.stateFile, { force: true })
  }

  async #restore(): Promise<QuiesceNote[]> {
    const { runner, log } = this.#seams
    if (this.#finished) {
      this.#finished = false
      await rm(this.#seams.stateFile, { force: true }).catch((error: unknown) => { log.error({ err: error }, 'the list of stopped services cannot be deleted: the next agent will start them') })
    }
    if (this.#stopped.length === 0) return []
    const signal = AbortSignal.timeout(START_MS)
    const started: string[] = []
    const notes: QuiesceNote[] = []
    for (const unit of this.#stopped.toReversed()) {
      try {
        await startUnit(runner, unit, signal)
        started.push(unit)
      } catch (error) {
        log.error({ err: error, unit }, 'a service that was stopped for the cutover cannot be started again')
        notes.push({ kind: 'services-started', message: `${unit} could not be started again: ${isAppError(error) ? error.message : String(error)}` })
      }
    }
    if (started.length > 0) {
      log.info({ started }, 'services were started again')
      notes.unshift({ kind: 'services-started', message: `started again: ${started.join(', ')}` })
    }
    try {
      await this.#remember(this.#stopped.filter(unit => !started.includes(unit)))
    } catch (error) {
      log.error({ err: error }, 'the list of stopped services cannot be written')
    }
    return notes
  }

  /** On disk when it resolves. */
  async #remember(services: string[]): Promise<void> {
    const { stateFile } = this.#seams
    this.#stopped = services
    if (services.length === 0) {
      await rm(stateFile, { force: true })
      return
    }
    await mkdir(dirname(stateFile), { recursive: true, mode: 0o700 })
    const beside = `${stateFile}.new`
    {
      await using file = await open(beside, 'w', 0o600)
      await file.writeFile(JSON.stringify({ version: 1, services } satisfies z.infer<typeof Stopped>))
      await file.sync()
    }
    await rename(beside, stateFile)
    await using directory = await open(dirname(stateFile), 'r')
    await directory.sync()
  }
}
