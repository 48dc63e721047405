/** `lab -- mirror` and `lab -- replicate`: the real agent and a receiver as two processes over TLS on loopback, one directory into another. */
import { mkdir, readFile, realpath, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { execa } from 'execa'
import { AppError } from '../../src/errors/app-error.ts'
import { CODES, type ErrorCode } from '../../src/errors/codes.ts'
import type { Orphan, OrphanTotals } from '../../src/domain/orphan.ts'
import type { Rule } from '../../src/domain/rule.ts'
import type { VerifyBy } from '../../src/domain/verification.ts'
import type { MirrorRequest } from '../../src/wire/messages.ts'
import { startProcess, type LabProcess } from './lab-process.ts'
import type { TargetIdentity } from './open-target.ts'
import { AGENT, NODE } from './paths.ts'
import { peakBytes, processCpuMs } from './processor-time.ts'
import { ReceiverEvent, type Task } from './receiver-task.ts'
import { createRunDirectory, RUN_VARIABLE, sweep, sweepStaleRuns, type RunDirectory } from './run-directory.ts'

export interface TransferOptions extends TargetIdentity {
  source: string, target: string, request: MirrorRequest
  transmissions?: Task['transmissions']
  rules?: readonly Rule[], orphansFolder?: string | undefined
  /** of `replicate` */
  capture?: 'auto' | 'fanotify' | 'inotify', watches?: number | undefined, script?: string | undefined, freeze?: boolean | undefined
  /** so many findings are told at most, of the mirror and of what follows it; all are counted */
  maxFindings?: number
  /** told how far it is */
  progress?: ((event: ProgressEvent) => void) | undefined
}
export type ProgressEvent = Extract<ReceiverEvent, { event: 'progress' | 'verifying' }>
export type VerifyOptions = TransferOptions & { verify: { by: VerifyBy, repair: boolean, reportFile: string } }

type Findings = Extract<ReceiverEvent, { event: 'mirrored' }>['findings']
export interface MirrorResult {
  files: number, bytesSent: number, bytesSentCompressed: number, bytesSkipped: number, durationMs: number
  /** the first of them, and how many there are */
  findings: Findings, findingsTotal: number
  /** what DST has and SRC has not, all of it; of a preview: what would become of it */
  orphans: OrphanTotals & { preview: boolean, list: Orphan[] }
  /** processor time of the whole machine while it ran, and the most memory that each side had resident */
  machineCpuMs: number, agentPeakBytes: number, receiverPeakBytes: number
}
export interface VerifyResult {
  files: number, filesCompared: number, bytesCompared: number
  /** that are there now: after the repair, when there was one */
  differences: number, moving: number
  /** that were there before it, and that it has mended */
  found: number, repaired: number
  durationMs: number, findings: Findings, findingsTotal: number, report: string
}
export interface ReplicateResult extends MirrorResult {
  changes: number, latencyMsP50: number, latencyMsP99: number, latencyMsMax: number, drainMs: number
  /** from the freeze until all was drained, where it was asked for */
  frozenMs?: number | undefined
  /** how changes were seen, and what of that was less than it should be at any time */
  tier: string, degradations: readonly string[]
  /** processor time of the agent since the mirror, the drain included */
  agentCpuMs: number
  /** of `bytesSent` what was sent after the mirror */
  bytesReplicated: number
  /** of COMMAND; null when a signal ended it or it could not be run */
  commandExitCode: number | null
  /** the script in the stream, where there was one */
  task?: TaskResult
}
type Drained = Extract<ReceiverEvent, { event: 'drained' }>
type TaskResult = Omit<Extract<ReceiverEvent, { event: 'task' }>, 'event'>

const MAX_FINDINGS = 10_000
const RECEIVER = new URL('receiver.ts', import.meta.url).pathname

/** @throws {AppError} SOURCE_MISSING, REPLICA_ROOT_MISSING, and what ended the mirror */
export async function mirrorDirectories(options: TransferOptions, signal: AbortSignal): Promise<MirrorResult> {
  await using pair = await startPair(options, false, signal)
  return mirrorOf(await pair.next('mirrored'), pair, options)
}

/** Compares instead of mirroring, and repairs when it is to. @throws {AppError} as mirrorDirectories; REPORT_NOT_WRITTEN */
export async function verifyDirectories(options: VerifyOptions, signal: AbortSignal): Promise<VerifyResult> {
  await using pair = await startPair(options, false, signal)
  const { verified, found, repaired, durationMs, findings, findingsTotal } = await pair.next('verified')
  const { filesFound, filesCompared, bytesCompared, differences, moving } = verified
  return { files: filesFound, filesCompared, bytesCompared, differences, moving, found, repaired, durationMs, findings, findingsTotal, report: resolve(options.verify.reportFile) }
}

/** Replication that goes on until it is drained; disposing ends both processes. */
export interface Replication extends AsyncDisposable {
  readonly mirrored: MirrorResult
  readonly agentPid: number
  readonly receiverPid: number
  /** Ends the replication. `freeze`: with the source's file system frozen for the last look, and thawed when this resolves; `whileFrozen` is called before. */
  drain(freeze: boolean, whileFrozen?: () => Promise<void>): Promise<Drained>
}

/** Mirrors; replicates when this resolves. @throws {AppError} as mirrorDirectories */
export async function startReplication(options: TransferOptions, signal: AbortSignal): Promise<Replication> {
  const pair = await startPair(options, true, signal)
  try {
    return {
      mirrored: mirrorOf(await pair.next('mirrored'), pair, options), agentPid: pair.agentPid, receiverPid: pair.receiverPid,
      drain: async (freeze, whileFrozen) => await pair.drain(freeze, whileFrozen),
      [Symbol.asyncDispose]: async () => { await pair[Symbol.asyncDispose]() },
    }
  } catch (error) {
    await pair[Symbol.asyncDispose]()
    throw error
  }
}

/** Mirrors, replicates while the command runs, drains, however the command ended. @throws {AppError} as mirrorDirectories; TOOL_MISSING */
export async function replicateDirectories(options: TransferOptions, command: readonly string[], signal: AbortSignal): Promise<ReplicateResult> {
  await using pair = await startPair(options, true, signal)
  const mirrored = mirrorOf(await pair.next('mirrored'), pair, options)
  const cpuMsBefore = processCpuMs(pair.agentPid)
  const [program = '', ...args] = command
  // its output is not part of the result
  const ran = await execa(program, args, { reject: false, stdin: 'ignore', stdout: process.stderr, stderr: process.stderr, cancelSignal: signal })
  signal.throwIfAborted()
  const task = options.script === undefined ? {} : { task: await pair.task() }
  const { bytesSent, findings, findingsTotal, changes, latencyMsP50, latencyMsP99, latencyMsMax, drainMs, frozenMs, tier, degradations } = await pair.drain(options.freeze === true)
  const agent = { agentCpuMs: processCpuMs(pair.agentPid) - cpuMsBefore, agentPeakBytes: peakBytes(pair.agentPid) }
  if (ran.code === 'ENOENT') throw new AppError('TOOL_MISSING', `the command ${program} is not installed`)
  return {
    ...mirrored, ...agent, bytesSent, bytesReplicated: bytesSent - mirrored.bytesSent, findings: [...mirrored.findings, ...findings], findingsTotal: mirrored.findingsTotal + findingsTotal,
    changes, latencyMsP50, latencyMsP99, latencyMsMax, drainMs, frozenMs, tier, degradations, commandExitCode: ran.exitCode ?? null, ...task,
  }
}

function mirrorOf(mirrored: Extract<ReceiverEvent, { event: 'mirrored' }>, { agentPid, orphans: list }: Pair, { request }: TransferOptions): MirrorResult {
  const { files, bytesSent, bytesSentCompressed, bytesSkipped, durationMs, findings, findingsTotal, machineCpuMs } = mirrored
  return { files, bytesSent, bytesSentCompressed, bytesSkipped, durationMs, findings, findingsTotal, orphans: { ...mirrored.orphans, preview: request.orphansPreview === true, list: [...list] }, machineCpuMs, agentPeakBytes: peakBytes(agentPid), receiverPeakBytes: mirrored.peakBytes }
}

interface Pair extends AsyncDisposable {
  readonly agentPid: number
  readonly receiverPid: number
  /** found so far */
  readonly orphans: readonly Orphan[]
  /** @throws {AppError} with the receiver's code when it failed instead, LINK_LOST when it or the agent ended */
  next<E extends 'mirrored' | 'verified' | 'drained' | 'thawed' | 'task'>(event: E): Promise<Extract<ReceiverEvent, { event: E }>>
  drain(freeze: boolean, whileFrozen?: () => Promise<void>): Promise<Drained>
  /** Runs the script when all that was captured until now is in DST. */
  task(): Promise<TaskResult>
}

async function startPair(options: TransferOptions & Partial<VerifyOptions>, replicate: boolean, signal: AbortSignal): Promise<Pair> {
  const source = await directory(options.source, 'SOURCE_MISSING')
  const target = await placeOf(options.target)
  if (liesIn(source, target) || liesIn(target, source)) throw new AppError('REQUEST_INVALID', `${source} and ${target} lie in each other`)
  // as rsync does: the last step of the path is made, nothing above it; a volume that must be there is not made up
  if (options.volumeId === undefined) await mkdir(target).catch(() => undefined)
  await directory(target, 'REPLICA_ROOT_MISSING')
  await sweepStaleRuns()
  const run = await createRunDirectory()
  const stack = new AsyncDisposableStack()
  stack.defer(async () => { await sweep(run) })
  try {
    const agentStateDirectory = join(run.path, 'agent')
    const verify = options.verify === undefined ? undefined : { ...options.verify, reportFile: await reportPlace(options.verify.reportFile, source, target) }
    const task: Task = {
      source, target, request: options.request, rules: [...options.rules ?? []], orphansFolder: options.orphansFolder === undefined ? undefined : resolve(options.orphansFolder), volumeId: options.volumeId, mark: options.mark, verify,
      transmissions: [...options.transmissions ?? []], maxFindings: options.maxFindings ?? MAX_FINDINGS, progress: options.progress !== undefined, replicate, script: options.script === undefined ? undefined : resolve(options.script), stateDirectory: join(run.path, 'receiver'), agentStateDirectory,
    }
    await mkdir(task.stateDirectory)
    const receiver = execa(NODE, [RECEIVER, JSON.stringify(task)], {
      reject: false, detached: true, cleanup: false, buffer: false, stdin: 'pipe', stdout: 'pipe', stderr: { file: join(run.path, 'receiver.log') },
      env: { [RUN_VARIABLE]: run.id }, lines: true,
    })
    const { pid: receiverPid } = receiver
    if (receiverPid === undefined) throw new AppError('INTERNAL', 'the receiver could not be started')
    const events = receiver.iterable({ from: 'stdout' })[Symbol.asyncIterator]()
    stack.defer(() => { receiver.kill('SIGTERM') })
    const orphans: Orphan[] = []
    const started: { agent?: LabProcess } = {}
    const next = async (): Promise<ReceiverEvent> => {
      const line = await Promise.race([events.next(), ended(signal), gone(started.agent)])
      if (line.done === true) throw new AppError('LINK_LOST', 'the receiver ended before its work was done')
      const event = ReceiverEvent.parse(JSON.parse(line.value))
      if (event.event === 'failed') throw new AppError(event.code in CODES ? event.code as ErrorCode : 'INTERNAL', event.message)
      if (event.event !== 'orphans') return event
      for (const orphan of event.orphans) orphans.push(orphan)
      return await next()
    }
    const listening = await next()
    if (listening.event !== 'listening') throw new AppError('INTERNAL', 'the receiver does not listen')
    const configFile = join(run.path, 'agent.json')
    await writeFile(configFile, JSON.stringify({ stateDirectory: agentStateDirectory, powerOff: 'none', capture: replicate ? options.capture ?? 'fanotify' : 'none', watches: options.watches }))
    const agent = await startAgent(run, configFile)
    started.agent = agent
    const nextOf: Pair['next'] = async (wanted) => {
      let event = await next()
      for (; event.event === 'progress' || event.event === 'verifying'; event = await next()) options.progress?.(event)
      if (event.event !== wanted) throw new AppError('INTERNAL', `the receiver said ${event.event} instead of ${wanted}`)
      return event as Extract<ReceiverEvent, { event: typeof wanted }>
    }
    return {
      agentPid: agent.pid, receiverPid, orphans, next: nextOf,
      task: async () => {
        receiver.stdin.write('task\n')
        const { script, exitCode, timedOut, output } = await nextOf('task')
        return { script, exitCode, timedOut, output }
      },
      drain: async (freeze, whileFrozen) => {
        if (freeze) receiver.stdin.write('freeze\n')
        else receiver.stdin.end('drain\n')
        const drained = await nextOf('drained')
        if (!freeze) return drained
        await whileFrozen?.()
        receiver.stdin.end('thaw\n')
        await nextOf('thawed')
        return drained
      },
      [Symbol.asyncDispose]: async () => { await stack.disposeAsync() },
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function ended(signal: AbortSignal): Promise<never> {
  signal.throwIfAborted()
  return await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }, { once: true }) })
}

/** An agent that ended will never send anything again. */
async function gone(agent: LabProcess | undefined): Promise<never> {
  if (agent === undefined) return await new Promise(() => undefined)
  const exitCode = await agent.exited()
  throw new AppError('LINK_LOST', `the agent ended (${String(exitCode)}): ${(await readFile(agent.logFile, 'utf8')).slice(-1000)}`)
}

/** @throws {AppError} REQUEST_INVALID when it lies in a tree that is compared */
async function reportPlace(path: string, source: string, target: string): Promise<string> {
  const place = await placeOf(path)
  if (liesIn(place, source) || liesIn(place, target)) throw new AppError('REQUEST_INVALID', `the report ${place} lies in a directory that is compared`)
  return place
}

async function startAgent(run: RunDirectory, configFile: string): Promise<LabProcess> {
  return await startProcess(run, 'agent', NODE, [AGENT, 'run', '--config', configFile])
}

/** The path without links, as far as it exists. */
async function placeOf(path: string): Promise<string> {
  const absolute = resolve(path)
  return await realpath(absolute).catch(async () => join(await realpath(dirname(absolute)).catch(() => dirname(absolute)), basename(absolute)))
}

function liesIn(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? '/' : `${outer}/`)
}

async function directory(path: string, code: 'SOURCE_MISSING' | 'REPLICA_ROOT_MISSING'): Promise<string> {
  const absolute = await placeOf(path)
  const found = await stat(absolute).catch(() => undefined)
  if (found?.isDirectory() !== true) throw new AppError(code, `${absolute} is no directory`)
  return absolute
}
