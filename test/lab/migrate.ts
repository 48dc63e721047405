/** One whole migration in a lab, through the command line, with every figure measured. The demo shows it, `lab -- migrate` prints its result. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { EnrolmentOffer } from '../../src/domain/server.ts'
import { JobEventRecord, JobView } from '../../src/domain/job.ts'
import { changedOnPurpose, compareVolumes, type Comparison, type VolumePair } from './compare.ts'
import { SOURCE } from './image/image.ts'
import type { Lab } from './lab.ts'
import type { LabProcess } from './lab-process.ts'
import type { Quiesced } from './quiesce.ts'
import { readScreen, type Screen } from './screen.ts'
import type { Proof } from './source.ts'
import { spoilOneByte } from './spoil.ts'

export const JOB = 'db01'
export const VM = 'db01-replica'
const VMWARE = 'lab-vcenter'

/** Runs in the replica: what it prints is compared with what the writer recorded, and with what was done before the freeze. */
const postFailover = (lab: Lab): string => `#!/bin/sh\nhostname\n${lab.quiesce.post}sha256sum /data/proof/*\n`

/** Changes go on for this long after the mirror, so that replication has something to carry. */
const PROTECT_MS = 5000
const MIRROR_TIMEOUT_MS = 900_000
const CUTOVER_TIMEOUT_MS = 1200_000

export interface MigrateOptions {
  /** change one byte on the replica before comparing */
  spoil: boolean
  /** how the disks of the replica are laid out; as on the source when left out */
  disks?: 'matching' | 'per-volume'
  /** called before each command; the demo prints it */
  onCommand?: (args: readonly string[]) => void
  /** the commands write to this terminal */
  show?: boolean
  onStep?: (what: string) => void
  /** called when the mirror has begun; tests break things here */
  whileMirroring?: (job: JobView) => Promise<void>
  /** called when the job protects, before the cutover that counts; tests cut over in vain here */
  whileProtecting?: (view: () => Promise<JobView>) => Promise<void>
}

export interface MigrateResult {
  /** the replica reported its own host name and the right checksum of a file that was written during the mirror, and showed something */
  booted: boolean
  /** the screenshot that was kept of the replica */
  screen: Screen
  equal: boolean
  differences: number
  downtimeMs: number
  phasesMs: Record<string, number>
  comparison: Comparison
  hostName: string
  /** what the source did before the freeze */
  quiesced: Quiesced
  /** files written during the mirror whose checksums the replica printed, and how many were right */
  proofs: { duringMirror: number, checked: number, right: number, example: Proof | undefined }
  violations: readonly string[]
  console: string
}

export async function migrate(lab: Lab, options: MigrateOptions, signal: AbortSignal): Promise<MigrateResult> {
  const { onCommand, onStep } = options
  const phasesMs: Record<string, number> = {}
  const timed = async <T>(phase: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now()
    try {
      return await work()
    } finally {
      phasesMs[phase] = Math.round(performance.now() - startedAt)
    }
  }
  /** a command whose output people want to see */
  const command = async (args: readonly string[], timeoutMs?: number): Promise<void> => {
    onCommand?.(args)
    const { exitCode, stdout, stderr } = await lab.cli.run(args, { signal, ...(options.show === true ? { show: true } : {}), ...(timeoutMs === undefined ? {} : { timeoutMs }) })
    if (exitCode !== 0) throw new Error(`landfall ${args.join(' ')} exited ${String(exitCode)}: ${stdout}${stderr}${await lab.logTails()}`)
  }
  const view = async (): Promise<JobView> => await lab.cli.json(JobView, ['job', 'show', JOB], { signal })

  await timed('register', async () => {
    await command(['vmware', 'add', VMWARE, '--host', '127.0.0.1', '--port', String(lab.front.port), '--user', lab.user, '--accept-thumbprint', lab.front.certificate.thumbprint])
    const add = ['server', 'add', SOURCE.hostName]
    onCommand?.(add)
    await lab.startAgent(await lab.cli.json(EnrolmentOffer, add, { signal }), onStep)
    await command(['server', 'list'])
  })
  const script = join(lab.run.path, 'prove.sh')
  await writeFile(script, postFailover(lab))
  await timed('validate', async () => {
    await command(['job', 'create', JOB, '--source', SOURCE.hostName, '--vmware', VMWARE, '--datastore', lab.datastore, '--network', lab.network, '--vm-name', VM, '--memory', '1G', '--cpu', '2', '--post-failover', script, '--disks', options.disks ?? 'matching', ...lab.quiesce.flags])
    await command(['job', 'validate', JOB])
  })
  onStep?.('a writer begins to create, append, change in place, rename, link and delete files on the source')
  const writer: LabProcess = await lab.source.startWriter(lab.seed, lab.writesPerSecond)
  let mirroredAtMs = 0
  const startedAtMs = Date.now()
  await timed('mirror', async () => {
    await command(['job', 'start', JOB])
    const breaking = options.whileMirroring === undefined ? undefined : breakWhileMirroring(view, options.whileMirroring, signal)
    await command(['job', 'watch', JOB, '--until', 'protecting'], MIRROR_TIMEOUT_MS)
    await breaking
    mirroredAtMs = Date.now()
  })
  await timed('protect', async () => { await new Promise(resolve => setTimeout(resolve, PROTECT_MS)) })
  if (!writer.isRunning()) throw new Error(`the writer ended: ${await readFile(writer.logFile, 'utf8')}`)
  try {
    await options.whileProtecting?.(view)
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}${await lab.logTails()}`, { cause: error })
  }
  await timed('cutover', async () => { await command(['job', 'cutover', JOB, '--wait'], CUTOVER_TIMEOUT_MS) })
  const { history, ...job } = await lab.cli.json(JobView.extend({ history: z.array(JobEventRecord) }), ['job', 'show', JOB], { signal })
  const console = await lab.follower.consoleOf(VM)
  const screen = await keptScreen(lab, [], signal)
  const proofs = checkProofs(job, (await lab.source.proofs()).filter(p => p.atMs >= startedAtMs && p.atMs <= mirroredAtMs))
  const comparison = await timed('compare', async () => {
    onStep?.('comparing every byte and attribute of the frozen source with the disks that were handed over')
    // the machine wrote above the disks, never into them; the disks must be let go before they are opened here
    await lab.follower.machine(VM)?.stop()
    const pairs = volumePairs(lab, job)
    if (options.spoil) await spoilOneByte(lab.run, pairs.find(p => p.mountPoint === '/data') ?? raise('the replica has no /data'), 'db/table.ibd')
    return await compareVolumes(lab.run, pairs, changedOnPurpose(job.fixUps))
  })
  for (const { phase, startedAtUtc, endedAtUtc } of job.phases) {
    if (endedAtUtc !== undefined) phasesMs[`job-${phase}`] = (phasesMs[`job-${phase}`] ?? 0) + Date.parse(endedAtUtc) - Date.parse(startedAtUtc)
  }
  const hostName = job.proof?.hostName ?? ''
  return {
    booted: job.state === 'completed' && hostName === SOURCE.hostName && console.includes('LANDFALL-BOOT') && proofs.duringMirror > 0 && proofs.right === proofs.duringMirror && !screen.isEmpty,
    screen,
    equal: comparison.equal && lab.follower.violations.length === 0, differences: comparison.differences.length,
    downtimeMs: job.downtimeMs ?? raise('the job has no downtime'), phasesMs, comparison, hostName, quiesced: lab.quiesce.shown(job, history), proofs, violations: lab.follower.violations, console,
  }
}

/** What the appliance kept of the replica's screen, or of that of the last test. */
export async function keptScreen(lab: Lab, which: readonly '--test'[], signal: AbortSignal): Promise<Screen> {
  const file = join(lab.run.path, 'screen.png')
  const { exitCode, stderr } = await lab.cli.run(['job', 'screenshot', JOB, ...which, '--output', file], { signal })
  if (exitCode !== 0) throw new Error(`there is no screenshot: ${stderr}`)
  return readScreen(await readFile(file))
}

async function breakWhileMirroring(view: () => Promise<JobView>, act: (job: JobView) => Promise<void>, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const job = await view()
    if (job.state === 'mirroring' && (job.mirror?.filesDone ?? 0) > 0) {
      await act(job)
      return
    }
    if (!['ready', 'provisioning', 'mirroring'].includes(job.state)) throw new Error(`the mirror was over (${job.state}) before it could be disturbed`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

/** What the script printed in the replica, against what the writer recorded on the source. */
function checkProofs(job: JobView, duringMirror: readonly Proof[]): MigrateResult['proofs'] {
  const printed = new Map([...(job.proof?.scriptOutput ?? '').matchAll(/^([0-9a-f]{64}) {2}(\S+)$/gm)].map(m => [m[2] ?? '', m[1] ?? '']))
  const right = duringMirror.filter(p => printed.get(p.path) === p.sha256)
  return { duringMirror: duringMirror.length, checked: duringMirror.filter(p => printed.has(p.path)).length, right: right.length, example: right.at(-1) }
}

function volumePairs(lab: Lab, job: JobView): VolumePair[] {
  const plan = job.plan ?? raise('the job has no plan')
  return plan.volumes.flatMap(({ volume, disk, partition }) => {
    const path = plan.disks[disk]?.path
    const type = z.enum(['ext4', 'xfs']).safeParse(volume.fileSystem.type)
    if (volume.mountPoint === undefined || path === undefined || !type.success) return []
    return [{ mountPoint: volume.mountPoint, sourceMount: join(lab.source.root, volume.mountPoint), replicaDisk: lab.vcsim.flatFileOf(path), partition, type: type.data }]
  })
}

function raise(message: string): never {
  throw new Error(message)
}
