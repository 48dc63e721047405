/**
 * The receiving side of `lab -- mirror` and `lab -- replicate`: what the appliance uses to receive, without jobs and disks. It listens on
 * loopback, issues one agent its certificate, and has that agent mirror a directory into another one. Started by transfer.ts; reads its task as
 * JSON from its arguments, writes events as lines of JSON on standard output, and drains when its standard input says so or ends; with the
 * source frozen, and thawed when all is drained, when it says "freeze". "task" has the script of its task run in the stream.
 */
import { mkdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { storeIdentity } from '../../src/agent/identity.ts'
import { startWithoutMaglev } from '../../src/bin/no-maglev.ts'
import { systemClock } from '../../src/clock/clock.ts'
import { ExecaScriptRunner } from '../../src/command/execa-runner.ts'
import type { DegradationKind } from '../../src/domain/degradation.ts'
import type { Finding } from '../../src/domain/finding.ts'
import { NO_ORPHANS, type Orphan } from '../../src/domain/orphan.ts'
import type { MirrorProgress, ReplicationProgress } from '../../src/domain/progress.ts'
import type { Transmission } from '../../src/domain/transmission.ts'
import { AppError, isAppError } from '../../src/errors/app-error.ts'
import { linkLog } from '../../src/logging/logger.ts'
import { openSourceListener } from '../../src/source/source-listener.ts'
import { verifyReplica } from '../../src/source/verify-replica.ts'
import type { SourceServer } from '../../src/source/source-server.ts'
import { checkAsideFolder, openAsideFolder } from '../../src/tree/posix-aside-folder.ts'
import { openPosixSourceTree } from '../../src/tree/posix-source-tree.ts'
import { SetAsideTree } from '../../src/tree/set-aside-tree.ts'
import type { TargetTree } from '../../src/tree/target-tree.ts'
import { openCertificateAuthority } from '../../src/trust/certificate-authority.ts'
import { makeKeyAndCsr } from '../../src/trust/key.ts'
import { openLinkIdentity } from '../../src/posix/linking.ts'
import { acceptTlsLink } from '../../src/wire/tls-link.ts'
import { KeptFindings } from './kept-findings.ts'
import { openTarget } from './open-target.ts'
import { machineCpuMs, peakBytes } from './processor-time.ts'
import { Task, type ReceiverEvent } from './receiver-task.ts'

const JOB = 'lab'
/** the line that asks for a drain with the source frozen */
const FREEZE = 'freeze'
/** the line that asks for the script in the stream */
const TASK = 'task'
/** the line that lets go what FREEZE has frozen */
const THAW = 'thaw'
const HOLD_MS = 60_000
const TASK_MS = 300_000

const tell = (event: ReceiverEvent): void => { process.stdout.write(`${JSON.stringify(event)}\n`) }

startWithoutMaglev() // as bin/appliance.ts

interface Asked { script: Promise<unknown>, drain: AbortSignal, thaw: AbortSignal }

async function receive(task: Task, asked: Asked, signal: AbortSignal): Promise<void> {
  const authority = await openCertificateAuthority(task.stateDirectory, systemClock.now())
  const identity = openLinkIdentity({ ...await authority.issueServer(['localhost', '127.0.0.1']), caPem: authority.certificatePem })
  let arrived: (server: SourceServer) => void = () => undefined
  const arrival = new Promise<SourceServer>((resolve) => { arrived = resolve })
  await using listener = await openSourceListener({
    host: '127.0.0.1', port: 0, openLink: async (socket, signal) => await acceptTlsLink(identity, socket, signal), isEnrolled: async id => id === JOB,
    onConnected: async (server) => { arrived(server) }, applianceVersion: 'lab', clock: systemClock, log: linkLog,
  })
  const { keyPem, csrPem } = await makeKeyAndCsr('lab')
  await mkdir(task.agentStateDirectory, { recursive: true, mode: 0o700 })
  await storeIdentity(task.agentStateDirectory, {
    sourceId: JOB, applianceHost: '127.0.0.1', replicationPort: listener.port, keyPem, certificatePem: await authority.issueAgent(csrPem, JOB), caPem: authority.certificatePem,
  })
  if (task.orphansFolder !== undefined) await checkAsideFolder(task.orphansFolder, [task.source, task.target])
  await using target = await withFolder(await openTarget(task.target, task, signal), task, signal)
  tell({ event: 'listening' })
  await using server = await arrival
  const targets = new Map([[0, target]])
  const findings = new KeptFindings(task.maxFindings)
  const startedAt = performance.now()
  const cpuBefore = machineCpuMs()
  const volumes = [{ index: 0, path: task.source, mountPoint: '/' }]
  await transmitAsTold(server, task, signal)
  await server.prepare(JOB, volumes, task.rules, signal)
  let mirrorFindings = 0
  const mirroring = (progress: MirrorProgress, more: readonly Finding[], orphans: readonly Orphan[]): void => {
    findings.add(more)
    mirrorFindings = progress.findings
    if (orphans.length > 0) tell({ event: 'orphans', orphans: [...orphans] })
    else if (task.progress) tell({ event: 'progress', progress })
  }
  if (task.verify !== undefined) {
    const result = await verifyReplica(server, targets, {
      ...task.verify, repair: task.verify.repair ? task.request : undefined, volumes, clock: systemClock, repairing: mirroring,
      progress: progress => { if (task.progress) tell({ event: 'verifying', progress }) },
    }, signal)
    tell({ event: 'verified', ...result, durationMs: Math.round(performance.now() - startedAt), ...findings.take(mirrorFindings) })
    await server.release(signal)
    return
  }
  const report = await server.mirror(task.request, targets, mirroring, signal)
  findings.add(report.findings)
  const { progress } = report
  tell({
    event: 'mirrored', files: progress.filesFound, bytesSent: progress.bytesSent, bytesSentCompressed: progress.bytesSentCompressed ?? progress.bytesSent, bytesSkipped: progress.bytesSkipped, durationMs: Math.round(performance.now() - startedAt),
    orphans: progress.orphans ?? NO_ORPHANS, machineCpuMs: machineCpuMs() - cpuBefore, peakBytes: peakBytes(process.pid), ...findings.take(progress.findings),
  })
  const failed = new AbortController()
  const inStream = runScript(server, task, asked.script, AbortSignal.any([signal, asked.drain]), failed)
  if (task.replicate) await replicate(server, targets, task, findings, asked, AbortSignal.any([signal, failed.signal]))
  await inStream
  await server.release(signal)
}

/** When it is asked for: behind what was captured until then, while changes flow. */
async function runScript(server: SourceServer, { script, replicate }: Task, asked: Promise<unknown>, signal: AbortSignal, failed: AbortController): Promise<void> {
  if (script === undefined || !replicate) return
  const over = new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
  await Promise.race([asked, over])
  if (signal.aborted) return
  try {
    await server.whenReplicated(signal)
    const { exitCode, timedOut, output } = await new ExecaScriptRunner(dirname(script)).run(basename(script), [], { timeoutMs: TASK_MS, signal })
    tell({ event: 'task', script, exitCode: exitCode ?? null, timedOut, output })
  } catch (error) {
    failed.abort(error)
  }
}

/** What holds from the beginning is set when this resolves, the rest when it is time. */
async function transmitAsTold(server: SourceServer, { transmissions }: Task, signal: AbortSignal): Promise<void> {
  const later = async (afterMs: number, how: Transmission): Promise<void> => {
    try {
      await systemClock.sleep(afterMs, AbortSignal.any([signal, server.ended]))
      await server.transmit(how, signal)
    } catch (error) {
      if (!signal.aborted && !server.ended.aborted) throw error
    }
  }
  for (const { afterMs, how } of transmissions) {
    if (afterMs === 0) await server.transmit(how, signal)
    else void later(afterMs, how)
  }
}

/** The target with a folder for its orphans, where there is one. */
async function withFolder(target: TargetTree, { target: path, orphansFolder }: Task, signal: AbortSignal): Promise<TargetTree> {
  if (orphansFolder === undefined) return target
  const replica = await openPosixSourceTree(path, signal)
  return new SetAsideTree({ target, replica, openFolder: async inner => await openAsideFolder(orphansFolder, systemClock.now(), inner) })
}

/** A volume that comes elsewhere on the machine is nothing that SRC lacks. */
function isWithin(mountPoint: string | undefined, source: string): boolean {
  return mountPoint?.startsWith(`${source}/`) === true
}

async function replicate(server: SourceServer, targets: Parameters<SourceServer['drain']>[1], { source }: Task, findings: KeptFindings, asked: Asked, signal: AbortSignal): Promise<void> {
  const degradations = new Set<DegradationKind>()
  const note = ({ degraded = [] }: ReplicationProgress, more: readonly Finding[]): void => {
    findings.add(more)
    for (const { kind, subject } of degraded) if (kind !== 'volume-new' || isWithin(subject, source)) degradations.add(kind)
  }
  const { tier } = (await server.describe(signal)).capture
  await server.replicate(targets, note, AbortSignal.any([asked.drain, signal]))
  signal.throwIfAborted()
  // where the source is not frozen, what is written during the drain may or may not arrive
  const freeze = asked.drain.reason === FREEZE
  const drained = await server.drain({ freeze, holdMs: HOLD_MS }, targets, note, signal)
  const frozenMs = drained.frozenAtMs === undefined ? undefined : systemClock.now() - drained.frozenAtMs
  const { bytesSent, changesApplied, latencyMsP50, latencyMsP99, latencyMsMax = latencyMsP99 } = drained.progress
  tell({ event: 'drained', bytesSent, frozenMs, changes: changesApplied, latencyMsP50, latencyMsP99, latencyMsMax, drainMs: drained.drainMs, ...findings.take(), tier, degradations: [...degradations] })
  if (!freeze) return
  await heldUntil(asked.thaw, server, signal)
  await server.thaw(signal)
  tell({ event: 'thawed' })
}

/** @throws {AppError} SOURCE_THAWED when it has thawed before */
async function heldUntil(over: AbortSignal, server: SourceServer, signal: AbortSignal): Promise<void> {
  const isOver = (): boolean => over.aborted
  while (!isOver()) {
    if (!await server.hold(signal)) throw new AppError('SOURCE_THAWED', 'the source did not stay frozen')
    await systemClock.sleep(HOLD_MS / 12, AbortSignal.any([over, signal])).catch(() => undefined)
    signal.throwIfAborted()
  }
}

const drain = new AbortController()
const thaw = new AbortController()
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => { stop.abort(new AppError('LINK_LOST', 'the receiver was interrupted')) })
const input = createInterface({ input: process.stdin })
const script = Promise.withResolvers<undefined>()
input.on('line', line => {
  if (line === TASK) script.resolve(undefined)
  else if (line === THAW) thaw.abort()
  else drain.abort(line)
})
input.on('close', () => {
  drain.abort()
  thaw.abort()
})
try {
  await receive(Task.parse(JSON.parse(process.argv[2] ?? '')), { script: script.promise, drain: drain.signal, thaw: thaw.signal }, stop.signal)
} catch (error) {
  tell({ event: 'failed', code: isAppError(error) ? error.code : 'INTERNAL', message: error instanceof Error ? error.message : String(error) })
  if (!isAppError(error)) linkLog.error({ err: error }, 'receiver failed')
  process.exitCode = 1
} finally {
  input.close()
  process.stdin.destroy()
}
