/**
 * Makes the replica boot on the virtual hardware: assembles its volumes, runs the fix-ups of its family in order, and says what each did. They run on a layer
 * over the volumes, in a rehearsal and in earnest. Only when every required one has passed, what the layer holds is brought to the volumes, so that it can be
 * taken back until it is forgotten (`restoreReplica`); what a boot loader wrote on the disk outside of files is put back, too.
 */
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { systemClock, type Clock } from '../clock/clock.ts'
import { runInRoot } from '../command/chroot.ts'
import type { Runner } from '../command/runner.ts'
import type { Finding } from '../domain/finding.ts'
import type { JobOptions } from '../domain/job.ts'
import type { BuiltReplica, ChangedFile, FixUpReport, FixUpResult, ReplicaPlan } from '../domain/replica.ts'
import type { Workload } from '../domain/workload.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { jobLog } from '../logging/logger.ts'
import { mountsApartFrom } from '../posix/mount-table.ts'
import { partitionDevice, type MountedVolume, type VolumeStack } from '../storage/volume-stack.ts'
import { fixUpsOf } from './boot-fix-ups.ts'
import { keepBootArea, putBootAreaBack } from './boot-area.ts'
import { bootFamilyOf, releaseOf } from './boot-family.ts'
import { bringLayer, takeBack } from './bring-layer.ts'
import { ChangedFiles } from './changed-files.ts'
import { findingsOf, type AssembledReplica, type FixUp, type GuestOptions } from './fix-up.ts'
import { clearLayer, FixUpLayer } from './fix-up-layer.ts'
import { isAsRehearsed, keepRehearsed, systemStamp, useRehearsed, type RehearsedParts } from './rehearsed-output.ts'
import { ReplicaFiles } from './replica-files.ts'
import { allocateSwapFiles } from './swap-files.ts'

export interface BootRequest {
  jobId: string, plan: ReplicaPlan, workload: Workload, options: JobOptions, volumes: VolumeStack, mounted: readonly MountedVolume[]
  /** the job's disks: those without a mounted volume (swap only) are shown to the replica's programs too, and the boot disk is named by its UUID */
  built?: BuiltReplica | undefined
}

export interface LayerParts {
  runner: Runner
  /** where layers lie, and what is to be taken back, in directories for each job */
  layers: string
}

export interface BootParts extends LayerParts {
  clock?: Clock
  /** Keeps the report of a run, also of a failed one; a rehearsal's after each fix-up. */
  keepReport: (report: FixUpReport) => Promise<void>
}

/** Where the replica itself keeps the log of what was done to it. */
const GUEST_LOG = '/var/log/landfall/boot-fix-ups.log'
const MAX_LOG_CHARACTERS = 4 << 20
const DISASSEMBLE_MS = 120_000

/**
 * May be repeated: what an earlier one brought is taken back first.
 * @param beforeChanges is awaited when all that the boot needs has passed and the volumes are still as they were
 * @throws {AppError} BOOT_FIXUP_FAILED with what failed and why: the volumes were not touched; VOLUME_LAYOUT when the volumes make no root; MOUNT_FAILED, TOOL_FAILED
 */
export async function makeBootable(parts: BootParts, request: BootRequest, beforeChanges: () => Promise<void>, signal: AbortSignal): Promise<readonly Finding[]> {
  await restoreReplica(parts, request, signal)
  const places = placesOf(parts, request.jobId)
  const [disk] = await disksOf(request, signal)
  if (disk !== undefined) await keepBootArea(request.plan, disk, request.mounted, places.taken)
  const findings = await allocateSwapFiles(parts.runner, request.mounted, request.workload, signal)
  await using layer = await FixUpLayer.make(places.layer, request.mounted, signal)
  const fixed = await fixLayer(parts, request, layer, false, signal)
  await bringLayer(parts.runner, layer.layered, places.taken, beforeChanges, signal)
  return [...findings, ...fixed]
}

/**
 * Runs all fix-ups on a throw-away layer; nothing of the replica changes, and no disk is written to by them. The volumes may change meanwhile.
 * @throws {AppError} as makeBootable; MOUNT_FAILED when the layer cannot be made
 */
export async function rehearseBoot(parts: BootParts, request: BootRequest, signal: AbortSignal): Promise<readonly Finding[]> {
  await using layer = await FixUpLayer.make(placesOf(parts, request.jobId).layer, request.mounted, signal)
  return await fixLayer(parts, request, layer, true, signal)
}

/**
 * Makes the mounted volumes, and the first disk outside of them, what they were before the last `makeBootable`, wherever that was broken off. Nothing when it is so already.
 * @returns `found`: whether files had been, or were about to be, changed; `lost`: in which respect they are not what they were
 * @throws {AppError} MOUNT_FAILED, TOOL_FAILED, VOLUME_LAYOUT, STORE_INVALID: some may not be what they were
 */
export async function restoreReplica(parts: LayerParts, request: Pick<BootRequest, 'jobId' | 'volumes' | 'mounted' | 'built'>, signal: AbortSignal): Promise<{ found: boolean, lost?: string }> {
  const { taken } = placesOf(parts, request.jobId)
  await clearLayers(parts, request)
  const outcome = await takeBack(parts.runner, request.mounted, taken, signal)
  const [disk] = await disksOf(request, signal)
  if (disk !== undefined) await putBootAreaBack(disk, request.mounted, taken)
  await rm(taken, { recursive: true, force: true })
  return outcome
}

/** Whether the cutover would find the system as the last rehearsal did, so that what took long there is done already. It may change a moment later. */
export async function isSystemAsRehearsed(parts: LayerParts, request: BootRequest, signal: AbortSignal): Promise<boolean> {
  const partsOf = rehearsedParts(parts, request, signal)
  for (const fixUp of fixUpsOf(request)) {
    if (fixUp.reusable !== undefined && !await isAsRehearsed(partsOf(fixUp), signal)) return false
  }
  return true
}

/** For each fix-up, of a system that does not change: it is looked at once, when the first of them asks. */
function rehearsedParts(parts: LayerParts, request: BootRequest, signal: AbortSignal): (fixUp: FixUp) => RehearsedParts {
  const { rehearsed } = placesOf(parts, request.jobId)
  let system: Promise<string | undefined> | undefined
  return ({ id, reusable }) => {
    const own = { runner: parts.runner, directory: join(rehearsed, id), mounted: request.mounted, request, from: reusable?.from ?? [] }
    return { ...own, system: async () => await (system ??= systemStamp(own, signal)) }
  }
}

/** Takes layers away, also those that a crash left, which hold the disks; and forgets what could be taken back, and what was rehearsed. */
export async function forgetFixUps(parts: LayerParts, request: Pick<BootRequest, 'jobId' | 'volumes'>): Promise<void> {
  await clearLayers(parts, request)
  const { taken, rehearsed } = placesOf(parts, request.jobId)
  for (const directory of [taken, rehearsed]) await rm(directory, { recursive: true, force: true })
}

async function clearLayers(parts: LayerParts, { jobId, volumes }: Pick<BootRequest, 'jobId' | 'volumes'>): Promise<void> {
  await volumes.release(layerId(jobId), [], AbortSignal.timeout(DISASSEMBLE_MS), { check: false })
  await clearLayer(placesOf(parts, jobId).layer)
}

/** The root is assembled apart from the volumes' own place. */
function layerId(jobId: string): string {
  return `${jobId}-layer`
}

function placesOf({ layers }: LayerParts, jobId: string): { layer: string, taken: string, rehearsed: string } {
  return { layer: join(layers, jobId), taken: join(layers, `${jobId}-taken`), rehearsed: join(layers, `${jobId}-rehearsed`) }
}

async function fixLayer(parts: BootParts, request: BootRequest, layer: FixUpLayer, rehearsal: boolean, signal: AbortSignal): Promise<readonly Finding[]> {
  const jobId = layerId(request.jobId)
  try {
    return await assembleAndFix(parts, { ...request, jobId, mounted: layer.mounted }, { layer, rehearsal, jobId: request.jobId }, signal)
  } finally {
    await request.volumes.release(jobId, [], AbortSignal.timeout(DISASSEMBLE_MS), { check: false })
  }
}

/** Kernels without devtmpfs, and initramfs that leave /dev to the root (cutover.md C26). */
function hasPlainDev(workload: Workload): boolean {
  return bootFamilyOf(workload) === 'rhel' && (releaseOf(workload) ?? 99) <= 6
}

interface On { layer: FixUpLayer, rehearsal: boolean, jobId: string }

async function assembleAndFix(parts: BootParts, request: BootRequest, on: On, signal: AbortSignal): Promise<readonly Finding[]> {
  const { jobId, volumes, mounted } = request
  const fixUps = fixUpsOf(request)
  const disks = await disksOf(request, signal)
  const root = await volumes.assemble(jobId, mounted, disks, signal, { plainDev: hasPlainDev(request.workload) })
  try {
    await using files = await ReplicaFiles.open(root)
    return await runFixUps(parts, request, { ...on, fixUps, root, files, disks }, signal)
  } finally {
    await volumes.disassemble(jobId, AbortSignal.timeout(DISASSEMBLE_MS)) // also after an abort: a later step unmounts the volumes
  }
}

interface Assembled extends On { fixUps: readonly FixUp[], root: string, files: ReplicaFiles, disks: readonly string[] }

async function runFixUps(parts: BootParts, request: BootRequest, { fixUps, root, files, layer, rehearsal, jobId, disks }: Assembled, signal: AbortSignal): Promise<readonly Finding[]> {
  const { plan, workload, options } = request
  const clock = parts.clock ?? systemClock
  const log = new GuestLog()
  let runs = 0
  const replica: AssembledReplica = {
    plan, workload, options, files, bootDevice: bootDeviceOf(request, disks), bootDiskUuid: request.built?.disks[0]?.uuid ?? '',
    ...rehearsal ? { rehearsal } : {}, space: async path => await layer.space(path),
    run: async (program: string, args: readonly string[], o: GuestOptions, inner: AbortSignal) => { runs++; return log.during(program, args, async () => runInRoot(parts.runner, root, program, args, { ...o, letGo: await mountsApartFrom(root) }, inner)) },
  }
  const report: FixUpReport = { version: 1, jobId, startedAtUtc: new Date(clock.now()).toISOString(), succeeded: false, results: [], ...rehearsal ? { rehearsal } : {} }
  using changes = await ChangedFiles.open(layer.layered, rehearsal, signal)
  const keep = async (): Promise<void> => { await parts.keepReport({ ...report, results: [...report.results] }) }
  const perform = async (fixUp: FixUp): Promise<{ changed: ChangedFile[], messages: readonly string[], error?: unknown }> => {
    const touches = files.changes + runs
    const outcome = await attempt(fixUp, replica, signal)
    return { ...outcome, changed: files.changes + runs === touches ? [] : await changes.look(signal) }
  }
  const partsOf = rehearsedParts(parts, { ...request, jobId, mounted: layer.layered.map(({ volume }) => volume) }, signal)
  /** Those that take long: a rehearsal keeps what they make, the cutover uses it. */
  const performReusable = async (fixUp: FixUp): ReturnType<typeof perform> => {
    const { system, ...live } = partsOf(fixUp)
    // the volumes may change in a rehearsal, and nobody writes to them otherwise
    if (rehearsal) return await keepRehearsed(live, report.results, files, clock, async () => await perform(fixUp), signal)
    return await perform({
      ...fixUp, fix: async (...on) => {
        const told = await useRehearsed({ ...live, system }, report.results, files, signal)
        return told !== undefined && await fixUp.reusable?.finish?.(...on) !== false ? told : await fixUp.fix(...on)
      },
    })
  }
  for (const fixUp of fixUps) {
    signal.throwIfAborted()
    const startedMs = clock.now()
    const { changed, ...outcome } = await (fixUp.reusable === undefined ? perform : performReusable)(fixUp)
    const result: FixUpResult = {
      id: fixUp.id, title: fixUp.title, required: fixUp.required, messages: [...outcome.messages], changed, durationMs: clock.now() - startedMs,
      outcome: outcome.error !== undefined ? 'failed' : outcome.messages.length + changed.length > 0 ? 'done' : 'nothing-to-do',
    }
    report.results.push(result)
    log.add(`${fixUp.id} ${fixUp.title}: ${result.outcome}\n${result.messages.map(m => `  ${m}\n`).join('')}`)
    jobLog[outcome.error === undefined ? 'info' : 'warn']({ jobId, fixUp: fixUp.id, outcome: result.outcome, err: outcome.error }, 'boot fix-up ran')
    const isOver = outcome.error !== undefined && fixUp.required
    if (isOver || rehearsal) await keep() // people watch a rehearsal; in earnest every write is downtime
    if (!isOver) continue
    throw new AppError('BOOT_FIXUP_FAILED', `${fixUp.id}, to ${fixUp.title}: ${outcome.messages.join('; ')} (${rehearsal ? 'in a rehearsal' : 'on a layer over the replica'}: nothing was changed)`, { cause: outcome.error })
  }
  await files.makeDirectory('/var/log/landfall', 0o700)
  await files.write(GUEST_LOG, log.text(), 0o600)
  report.results.push({ id: 'log', title: 'keep the log of what was done', required: false, outcome: 'done', messages: [], changed: await changes.look(signal), durationMs: 0 })
  report.succeeded = true
  await keep()
  return report.results.flatMap(findingsOf)
}

/** Anything but an abort that a fix-up throws is its failure; what it is worth is the table's decision. */
async function attempt(fixUp: FixUp, replica: AssembledReplica, signal: AbortSignal): Promise<{ messages: readonly string[], error?: unknown }> {
  try {
    return { messages: await fixUp.fix(replica, signal) }
  } catch (error) {
    signal.throwIfAborted()
    if (!isAppError(error)) throw error
    return { messages: [error.message], error }
  }
}

/** The job's disks in the appliance, in the order of the plan; without `built`, those of the mounted volumes are all that is known. */
async function disksOf({ built, volumes }: Pick<BootRequest, 'built' | 'volumes'>, signal: AbortSignal): Promise<readonly string[]> {
  const devices: string[] = []
  for (const disk of built?.disks ?? []) devices.push(await volumes.deviceOf(disk.uuid, signal))
  return devices
}

/** The first disk by the name its node has in the root's /dev. */
function bootDeviceOf({ plan, mounted }: BootRequest, [first]: readonly string[]): string {
  if (first !== undefined && plan.disks[0]?.table !== 'none') return `/dev/${basename(first)}`
  const on = mounted.find(m => m.volume.disk === 0)
  if (on === undefined) throw new AppError('BOOT_FIXUP_FAILED', `no volume of the job lies on its first disk ${plan.disks[0]?.path ?? ''}: the boot loader has no place`)
  for (const cut of [`p${String(on.volume.partition)}`, String(on.volume.partition)]) {
    const disk = on.device.slice(0, -cut.length)
    if (on.volume.partition !== 0 && on.device.endsWith(cut) && partitionDevice(disk, on.volume.partition) === on.device) return `/dev/${basename(disk)}`
  }
  throw new AppError('BOOT_FIXUP_FAILED', `the first disk has no partition table (${on.device}): the boot loader has no place`)
}

/** What the replica's programs said, in full up to a limit. */
class GuestLog {
  #text = ''

  add(text: string): void {
    if (this.#text.length < MAX_LOG_CHARACTERS) this.#text += text
  }

  text(): string {
    return Buffer.from(this.#text, 'utf8').toString('latin1')
  }

  async during<T extends { stdout: string, stderr: string, exitCode: number }>(program: string, args: readonly string[], run: () => Promise<T>): Promise<T> {
    this.add(`$ ${[program, ...args].join(' ')}\n`)
    try {
      const result = await run()
      this.add(`${result.stdout}${result.stderr}exit code ${String(result.exitCode)}\n`)
      return result
    } catch (error) {
      this.add(`${error instanceof Error ? error.message : String(error)}\n`)
      throw error
    }
  }
}
