/**
 * The agent, put together from its real parts. It dials one appliance, describes this machine to it, and mirrors and replicates what it is
 * asked to. It never listens, and leaves nothing behind: disposing thaws and ends every capture.
 */
import { join, posix } from 'node:path'
import { openChosenCapture } from '../capture/choose-capture.ts'
import { createMemoryChangeSource } from '../capture/memory-change-source.ts'
import type { ChangeSource } from '../capture/change-source.ts'
import { systemClock, type Clock } from '../clock/clock.ts'
import { ExecaRunner } from '../command/execa-runner.ts'
import type { Runner } from '../command/runner.ts'
import { AGENT_PLACES } from '../domain/agent-places.ts'
import { VERSION } from '../domain/version.ts'
import type { Workload } from '../domain/workload.ts'
import { AppError } from '../errors/app-error.ts'
import { agentLog, captureLog, linkLog } from '../logging/logger.ts'
import { freeze } from '../replication/freezer.ts'
import { CaptureKeeper } from '../source/capture-keeper.ts'
import { SourceCapture, type CaptureSeams } from '../source/source-capture.ts'
import { Quiescer } from '../source/quiescer.ts'
import { runSourceSession } from '../source/source-session.ts'
import { watchedMounts } from '../source/watched-mounts.ts'
import { openPosixSourceTree } from '../tree/posix-source-tree.ts'
import { openLinkIdentity } from '../posix/linking.ts'
import type { LinkIdentity } from '../posix/native-link.ts'
import { native } from '../posix/native.ts'
import type { Link } from '../wire/link.ts'
import { dialTlsLink } from '../wire/tls-link.ts'
import { discoverWorkload } from '../workload/discover.ts'
import { queueLimits, type AgentConfig } from './config.ts'
import { keepConnected } from './connect.ts'
import { readIdentity } from './identity.ts'
import { OwnLoad } from './own-load.ts'
import { keepSmall } from './own-memory.ts'
import { keeperSeams } from './keeper-seams.ts'
import { powerOffSystem } from './power-off.ts'
import { probeCapture } from './probe-capture.ts'

/** What tests replace. */
export interface AgentOverrides {
  clock?: Clock
  runner?: Runner
  capture?: Partial<CaptureSeams>
  describe?: (signal: AbortSignal) => Promise<Workload>
}

export interface Agent extends AsyncDisposable {
  /** Serves the appliance until the signal aborts. @throws {AppError} PEER_UNTRUSTED, PROTOCOL_VERSION, CONFIG_INVALID */
  run(signal: AbortSignal): Promise<void>
  describe(signal: AbortSignal): Promise<Workload>
}

const DIAL_MS = 20_000
/** while a source is frozen some descriptors must stay open (kept.rs) */
const DESCRIPTORS = 65_536

export function createAgent(config: AgentConfig, overrides: AgentOverrides = {}): Agent {
  if (config.logLevel !== undefined) for (const log of [agentLog, captureLog, linkLog]) log.level = config.logLevel
  const clock = overrides.clock ?? systemClock
  const runner = overrides.runner ?? new ExecaRunner(config.systemctl === undefined ? {} : { systemctl: config.systemctl })
  const quiescer = new Quiescer({ runner, log: agentLog, scriptsDirectory: config.scriptsDirectory, stateFile: join(config.stateDirectory, 'stopped-services.json') })
  const capture = new SourceCapture({
    resolve: mountPoint => placeOf(config.root, mountPoint),
    openTree: openPosixSourceTree,
    openChanges: async (volumes, signal) => await openChanges(config, volumes, clock, signal),
    freeze, quiescer,
    // an agent that serves another tree than its own has nothing there
    ...config.root === '/' ? { leftOut: AGENT_PLACES.map(pattern => ({ kind: 'exclude' as const, pattern, recursive: true })) } : {},
    ...config.capture === 'none' ? {} : { keeper: new CaptureKeeper(keeperSeams(config.stateDirectory)) },
    ...overrides.capture,
  })
  const describe = overrides.describe ?? (async signal => await discoverWorkload({
    root: config.root, runner, signal, ...(config.networkNamespace === undefined ? {} : { networkNamespace: config.networkNamespace }),
    probeCapture: async mountPoints => await probeCapture(config, mountPoints),
  }))
  return {
    describe,
    run: async signal => {
      const identity = await readIdentity(config.stateDirectory)
      // an agent before this one may have died while services were stopped
      await quiescer.recover()
      const ours = openLinkIdentity(identity)
      const host = config.applianceHost ?? identity.applianceHost
      const port = config.replicationPort ?? identity.replicationPort
      agentLog.info({ sourceId: identity.sourceId, appliance: `${host}:${String(port)}`, version: VERSION, descriptors: native.raiseDescriptorLimit(DESCRIPTORS) }, 'agent started')
      await resume(capture, signal)
      const load = new OwnLoad({ maxNice: config.maxNice, maxBehindMs: config.maxBehindSeconds * 1000 })
      const over = new AbortController()
      const watched = AbortSignal.any([signal, over.signal])
      const watching = Promise.all([load.watch(clock, watched), keepSmall(clock, watched)])
      try {
        await keepConnected({
          clock, log: agentLog,
          serve: async (onWelcome, inner) => {
            await runSourceSession({
              link: await dial(ours, host, port, inner), capture, describe, onWelcome, load, clock, log: linkLog, agentVersion: VERSION,
              powerOff: async (captured) => {
                if (config.powerOff === 'system') await powerOffSystem(captured, { runner, log: agentLog })
                else captured.holdItself()
              },
            }, inner)
          },
        }, signal)
      } finally {
        over.abort()
        await watching
      }
    },
    [Symbol.asyncDispose]: async () => { await capture[Symbol.asyncDispose]() },
  }
}

/** A capture that cannot be gone on with now is one that the appliance asks for anew. */
async function resume(capture: SourceCapture, signal: AbortSignal): Promise<void> {
  try {
    await capture.resume(signal)
  } catch (error) {
    if (!signal.aborted) agentLog.warn({ err: error }, 'the last capture could not be gone on with yet')
  }
}

/** @throws {AppError} LINK_REFUSED also when nothing answers in time, PEER_UNTRUSTED */
async function dial(identity: LinkIdentity, host: string, port: number, signal: AbortSignal): Promise<Link> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)])
  try {
    return await dialTlsLink(identity, { host, port }, inTime)
  } catch (error) {
    if (inTime.aborted && !signal.aborted) throw new AppError('LINK_REFUSED', `the appliance ${host}:${String(port)} does not answer`, { cause: error })
    throw error
  }
}

async function openChanges({ root, capture, watches, rescanSeconds, queue }: AgentConfig, volumes: ReadonlyMap<number, string>, clock: Clock, signal: AbortSignal): Promise<ChangeSource> {
  if (capture === 'none') return createMemoryChangeSource()
  const changes = await openChosenCapture(capture, { volumes, clock, maxWatches: watches, rescanMs: rescanSeconds * 1000, ...queueLimits(queue) }, signal)
  return await watchedMounts(changes, { volumes, root, clock })
}

/** @throws {AppError} SOURCE_MISSING when it is no absolute path without steps back */
function placeOf(root: string, mountPoint: string): string {
  if (!mountPoint.startsWith('/') || mountPoint.includes('\0') || posix.normalize(mountPoint) !== mountPoint) throw new AppError('SOURCE_MISSING', `${mountPoint} is no mount point`)
  return join(root, mountPoint)
}
