/** One whole migration in the full lab, through the command line, with its proof. `lab -- full` prints its result. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AGENT_PLACES } from '../../../src/domain/agent-places.ts'
import { EnrolmentOffer } from '../../../src/domain/server.ts'
import { JobView } from '../../../src/domain/job.ts'
import { changedOnPurpose, type Comparison } from '../compare.ts'
import { waitUntil } from '../process-identity.ts'
import { readScreen } from '../screen.ts'
import { checkFileSystems, compareImages, pairVolumes } from './compare-images.ts'
import { HOST_SEEN_FROM_APPLIANCE } from './appliance-guest.ts'
import { replicaOf, type FullLab } from './full-lab.ts'
import { checkGroups } from './image-places.ts'
import { checkReplica, type Check } from './replica-checks.ts'
import { gatewayOf, macOf, type SourceGuest } from './source-guest.ts'
import { checkWithoutFixUp } from './without-fix-up.ts'

const VMWARE = 'lab-vcenter'
const CREATE_MS = 900_000
const PROTECT_MS = 5000
const MIRROR_TIMEOUT_MS = 1800_000
const CUTOVER_TIMEOUT_MS = 1800_000
const OFF_MS = 120_000

export interface FullOptions {
  /** addresses that replicas get instead of their sources', by host name */
  newAddresses: Readonly<Record<string, string>>
  /** called before each command */
  onCommand?: (args: readonly string[]) => void
  onStep?: (what: string) => void
}

export interface FullResult {
  source: string
  /** the replica reported its own host name and all its checks hold */
  booted: boolean
  equal: boolean
  differences: number
  /** from the freeze to the report of the replica */
  downtimeMs: number
  /** from the freeze to the start of the replica: the downtime without what the boot takes */
  downtimeWithoutBootMs: number
  phasesMs: Record<string, number>
  checks: readonly Check[]
  comparison: Comparison
  violations: readonly string[]
}

/** Registers the host and every source, and starts the agents and the load. */
export async function prepare(lab: FullLab, options: FullOptions, signal: AbortSignal): Promise<void> {
  const { cli } = lab
  await command(lab, options, signal, ['vmware', 'add', VMWARE, '--host', HOST_SEEN_FROM_APPLIANCE, '--port', String(lab.front.port), '--user', lab.user, '--accept-thumbprint', lab.front.certificate.thumbprint], CREATE_MS)
  await Promise.all(lab.sources.map(async (source) => {
    const add = ['server', 'add', source.o.hostName]
    options.onCommand?.(add)
    const offer = await cli.json(EnrolmentOffer, add, { signal, timeoutMs: CREATE_MS })
    await source.startLoad()
    await source.enrol(offer)
  }))
}

export async function migrateGuest(lab: FullLab, source: SourceGuest, options: FullOptions, signal: AbortSignal): Promise<FullResult> {
  const name = source.o.hostName
  const job = `move-${name}`
  const vm = replicaOf(source.o)
  const phasesMs: Record<string, number> = {}
  const timed = async <T>(phase: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now()
    try {
      return await work()
    } finally {
      phasesMs[phase] = Math.round(performance.now() - startedAt)
    }
  }
  const say = (what: string): void => { options.onStep?.(`${name}: ${what}`) }
  const run = async (args: readonly string[], timeoutMs = CREATE_MS): Promise<void> => { await command(lab, options, signal, args, timeoutMs) }
  const view = async (): Promise<JobView> => await lab.cli.json(JobView, ['job', 'show', job], { signal, timeoutMs: CREATE_MS })

  const failedOnSource = await source.failedUnits()
  const script = join(lab.run.path, 'prove.sh')
  await writeFile(script, '#!/bin/sh\nhostname\n')
  const address = options.newAddresses[name]
  const mac = macOf(source.o, 0)
  const addressing = address === undefined ? [] : ['--address', `${mac}=${address}/24`, '--gateway', `${mac}=${gatewayOf(source.o)}`, '--dns', `${mac}=${gatewayOf(source.o)}`]
  await timed('validate', async () => {
    await run(['job', 'create', job, '--source', name, '--vmware', VMWARE, '--datastore', lab.datastore, '--network', lab.network, '--vm-name', vm, '--memory', '1G', '--cpu', '2', '--post-failover', script, ...addressing])
    await run(['job', 'validate', job])
  })
  await timed('mirror', async () => {
    await run(['job', 'start', job])
    await run(['job', 'watch', job, '--until', 'protecting'], MIRROR_TIMEOUT_MS)
  })
  say('mirrored; the database goes on')
  await timed('protect', async () => { await new Promise(resolve => setTimeout(resolve, PROTECT_MS)) })
  await timed('cutover', async () => { await run(['job', 'cutover', job, '--wait'], CUTOVER_TIMEOUT_MS) })
  const ended = await view()
  say(`the replica reported as ${ended.proof?.hostName ?? 'nobody'}, system state ${ended.proof?.systemState ?? 'unknown'}`)
  const checks: Check[] = []
  const image = join(lab.run.path, `${name}.png`)
  await run(['job', 'screenshot', job, '--output', image])
  const screen = readScreen(await readFile(image))
  // these guests have no terminal on the screen: what BIOS and GRUB wrote stays, what UEFI showed is cleared
  checks.push({ check: 'screenshot', ok: !screen.isEmpty || source.o.firmware === 'uefi', detail: `${String(screen.width)} × ${String(screen.height)} pixels${screen.isEmpty ? ', empty' : ''}` })
  const off = await waitUntil('the source to be off', OFF_MS, () => !source.guest.process.isRunning()).catch(() => false)
  checks.push({ check: 'source off', ok: off, detail: off ? 'the source switched itself off' : 'the source still runs' })
  // beside all other checks: it mostly waits for a root that does not come
  const withoutFixUps = off ? checkWithoutFixUp(lab.run, source, signal) : undefined
  withoutFixUps?.catch(() => undefined) // awaited below
  const machine = lab.follower.machine(vm)
  await timed('checks', async () => {
    if (machine === undefined) { checks.push({ check: 'replica', ok: false, detail: 'the replica does not run any more' }); return }
    await machine.guest.shell.ready(OFF_MS).catch(() => undefined)
    checks.push(...await checkReplica(machine.guest, source, address ?? source.o.address, failedOnSource))
  })
  // it wrote into layers above its disks; they are compared as they were handed over
  await machine?.stop()
  const plan = ended.plan ?? raise('the job has no plan')
  const replicaDisks = plan.disks.map(disk => lab.vcsim.flatFileOf(disk.path))
  const comparison = await timed('compare', async () => {
    say('comparing every byte and attribute of the frozen source\'s disks with those that were handed over')
    const pairs = await pairVolumes(source.directory, source.volumes, replicaDisks)
    for (const { mountPoint, type, clean, output } of await checkFileSystems(pairs)) checks.push({ check: `fsck ${mountPoint}`, ok: clean, detail: clean ? `${type} is clean` : output })
    const groups = await checkGroups(replicaDisks)
    if (groups !== undefined) checks.push({ check: 'vgck of the disks', ok: groups.groups > 0 && groups.complaints === '', detail: groups.complaints === '' ? `${String(groups.groups)} volume groups are sound` : groups.complaints })
    // what the agent has for itself never leaves its source
    return await compareImages(lab.run, pairs, [...changedOnPurpose(ended.fixUps), ...AGENT_PLACES.flatMap(place => [place, `${place}/`])])
  })
  if (withoutFixUps !== undefined) checks.push(await withoutFixUps)
  for (const { phase, startedAtUtc, endedAtUtc } of ended.phases) {
    if (endedAtUtc !== undefined) phasesMs[`job-${phase}`] = (phasesMs[`job-${phase}`] ?? 0) + Date.parse(endedAtUtc) - Date.parse(startedAtUtc)
  }
  const begun = (phase: string): number => Date.parse(ended.phases.findLast(p => p.phase === phase)?.startedAtUtc ?? '')
  return {
    source: name, booted: ended.state === 'completed' && ended.proof?.hostName === name && checks.every(c => c.ok),
    equal: comparison.equal && lab.follower.violations.length === 0, differences: comparison.differences.length,
    downtimeMs: ended.downtimeMs ?? raise('the job has no downtime'), downtimeWithoutBootMs: begun('boot') - begun('downtime'),
    phasesMs, checks, comparison, violations: lab.follower.violations,
  }
}

async function command(lab: FullLab, { onCommand }: FullOptions, signal: AbortSignal, args: readonly string[], timeoutMs: number): Promise<void> {
  onCommand?.(args)
  const { exitCode, stdout, stderr } = await lab.cli.run(args, { signal, timeoutMs })
  if (exitCode !== 0) throw new Error(`landfall ${args.join(' ')} exited ${String(exitCode)}: ${stdout}${stderr}${await lab.logTails()}`)
}

function raise(message: string): never {
  throw new Error(message)
}
