/**
 * Makes, follows and undoes a test cutover. A disk that is written to cannot be the parent of a child, and one that is attached cannot be copied: replication
 * rests while the replica's disks are let go by the appliance, the test's are made from them, and are made to boot, so that two file systems with the same
 * identifiers are never in the appliance at once. Then it goes on, and the VM boots beside it; with children it goes on into stand-ins (stand-ins.ts).
 * Everything is written down before it is made.
 */
import type { VirtualDisk } from '../domain/target.ts'
import { isTested, needsReplicaAsItIs } from '../domain/test-cutover.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { CODES } from '../errors/codes.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import { placedGroups, volumeIdOf } from '../storage/volume-stack.ts'
import { abandonTest, clearTest, testId, testPlan, UNDO } from './clear-test.ts'
import { CollectedFindings } from './collect-findings.ts'
import { keepScreenshot } from './keep-screenshot.ts'
import { passphraseOf, planned } from './open-replica.ts'
import type { JobHandle, Seams } from './step.ts'
import { changeTest, testOf } from './test-record.ts'

type TestSeams = Pick<Seams, 'sources' | 'openHypervisor' | 'volumes' | 'replica' | 'passphrases' | 'clock' | 'log' | 'times' | 'store'>

const POLL_MS = 2000

/** Makes the test that is wanted, with nothing of the replica in use. A failure is written down and cleaned up, and is no failure of the job. */
export async function makeTest(seams: TestSeams, job: JobHandle, signal: AbortSignal): Promise<void> {
  const state = job.record.testCutover?.state
  await abandonTest(seams, job, signal)
  if (state !== 'wanted') return
  try {
    await changeTest(job, { state: 'making', message: undefined, proof: undefined })
    await job.update({ activity: `test cutover: ${testOf(job).kind === 'children' ? 'making children of' : 'copying'} the disks of the replica; changes wait at the source` })
    await build(seams, job, signal)
  } catch (error) {
    signal.throwIfAborted()
    seams.log.warn({ err: error, jobId: job.record.id }, 'test cutover failed')
    await clearTest(seams, job, signal, 'failed', error instanceof Error ? error.message : String(error))
  }
}

async function build(seams: TestSeams, job: JobHandle, signal: AbortSignal): Promise<void> {
  const { volumes, replica, clock } = seams
  const { plan, workload } = planned(job)
  const { id: ofReplica, options, built } = job.record
  const test = testOf(job)
  const jobId = testId(ofReplica)
  const made = testPlan(plan, test)
  const own = built?.disks ?? []
  await using hypervisor = await seams.openHypervisor(job.record.vmware, signal)
  const { networks } = await hypervisor.places(signal)
  if (!networks.some(n => n.name === test.network)) throw new AppError('NETWORK_NOT_FOUND', `there is no network "${test.network}"; there are ${networks.map(n => n.name).join(', ')}`)
  const devices: string[] = []
  for (const disk of own) devices.push(await volumes.deviceOf(disk.uuid, signal))
  await volumes.release(ofReplica, devices, signal, { check: false })
  await hypervisor.detachDisks(own, signal)
  const disks: VirtualDisk[] = []
  for (const [i, disk] of own.entries()) {
    const path = made.disks[i]?.path ?? ''
    await changeTest(job, { disks: [...disks, { ...disk, path, uuid: '' }] })
    disks.push(test.kind === 'children' ? await hypervisor.attachChild(disk, path, signal) : await hypervisor.copyDisk(disk, path, signal))
  }
  await changeTest(job, { disks })
  const keep = async (own: { disks: VirtualDisk[] }): Promise<void> => { await changeTest(job, { disks: own.disks }) }
  const mounted = await replica.build({ jobId, plan: made, built: { disks }, hypervisor, volumes, passphrase: async () => await passphraseOf(seams, job) }, keep, signal)
  // the ids came along with what is on the disks
  await volumes.unmark(mounted.map(m => ({ ...m, volumeId: volumeIdOf(ofReplica, m.volume.index) })), signal)
  const thrownAway = testOf(job).disks
  await job.update({ activity: 'test cutover: making its disks boot; changes wait at the source' })
  const request = { jobId, plan: made, workload, options, built: { disks: thrownAway }, volumes, mounted }
  const findings = new CollectedFindings([])
  findings.add(await replica.makeBootable(request, { keepReport: async fixUps => { await changeTest(job, { fixUps }) }, beforeChanges: async () => { await Promise.resolve() } }, signal))
  await replica.forgetFixUps({ jobId, volumes })
  const attached: string[] = []
  for (const disk of thrownAway) attached.push(await volumes.deviceOf(disk.uuid, signal))
  await volumes.release(jobId, attached, signal, { handOver: placedGroups(made, attached) })
  await hypervisor.detachDisks(thrownAway, signal)
  await changeTest(job, { hasVm: true })
  const vmId = await hypervisor.createVm({ plan: made, disks: thrownAway, jobId }, signal)
  await changeTest(job, { vmId })
  await hypervisor.power(vmId, 'on', signal)
  await changeTest(job, { state: 'booting', poweredOnAtUtc: new Date(clock.now()).toISOString() })
  await job.note('test-cutover', `the test VM ${made.vmName} was powered on in the network ${test.network}; ${meanwhile(job)}`)
}

/** What becomes of the source's changes while there is a test. */
function meanwhile(job: JobHandle): string {
  return needsReplicaAsItIs(testOf(job)) ? 'replication goes on into stand-ins of the disks, which are thrown away when it is undone: what has changed since is mirrored again then' : 'replication goes on'
}

/**
 * Does the work, whose end is theirs, with the test followed and undone beside it.
 * @returns undefined when the work was interrupted, as a test is wanted, or stand-ins are to be thrown away
 */
export async function withTest<T>(seams: TestSeams, job: JobHandle, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const over = new AbortController()
  const anew = new AbortController()
  const failed = new AbortController()
  const following = (async () => {
    try {
      await follow(seams, job, anew, AbortSignal.any([signal, over.signal]))
    } catch (error) {
      if (!over.signal.aborted && !signal.aborted) failed.abort(error)
    }
  })()
  try {
    const result = await work(AbortSignal.any([signal, anew.signal, failed.signal]))
    return anew.signal.aborted ? undefined : result
  } catch (error) {
    if (signal.aborted || !anew.signal.aborted) throw error
    return undefined
  } finally {
    over.abort()
    await following
    if (!signal.aborted) failed.signal.throwIfAborted()
  }
}

async function follow(seams: TestSeams, job: JobHandle, anew: AbortController, signal: AbortSignal): Promise<void> {
  const hasStandIns = needsReplicaAsItIs(job.record.testCutover)
  for (;;) {
    signal.throwIfAborted()
    const round = new AbortController()
    const ordered = job.ordered(AbortSignal.any([signal, round.signal]))
    try {
      const state = job.record.testCutover?.state
      // what is written to is let go before it is thrown away
      if (state === 'wanted' || (hasStandIns && (state === 'undoing' || !needsReplicaAsItIs(job.record.testCutover)))) {
        anew.abort(new DOMException('a test cutover is wanted, or is over', 'AbortError'))
        return
      }
      if (state === 'booting') await awaitProof(seams, job, signal)
      else if (state === 'undoing') await clearTest(seams, job, signal, 'undone')
      else await untilDue(seams, job, ordered, round.signal)
    } finally {
      round.abort()
    }
  }
}

/** Until a person wants something else, or the test has stayed as long as it was to: then it is to be undone. */
async function untilDue({ clock }: Pick<TestSeams, 'clock'>, job: JobHandle, ordered: Promise<void>, signal: AbortSignal): Promise<void> {
  const test = job.record.testCutover
  if (!isTested(test) || test.keepMs === undefined || test.endedAtUtc === undefined) {
    await ordered
    return
  }
  const leftMs = Date.parse(test.endedAtUtc) + test.keepMs - clock.now()
  if (leftMs > 0) await Promise.race([ordered, clock.sleep(leftMs, signal)])
  else await changeTest(job, { state: 'undoing' })
}

/** Until the VM reports, the time is up, or a person wants it undone. */
async function awaitProof(seams: TestSeams, job: JobHandle, signal: AbortSignal): Promise<void> {
  const { openHypervisor, clock, log, times } = seams
  const { vmId = '', vmName, poweredOnAtUtc = '' } = testOf(job)
  let hypervisor: Hypervisor | undefined
  try {
    while (testOf(job).state === 'booting') {
      try {
        hypervisor ??= await openHypervisor(job.record.vmware, signal)
        const proof = await hypervisor.bootReport(vmId, signal)
        if (proof !== undefined) {
          const screenshot = await keepScreenshot(seams, job, 'test-cutover', vmId, signal)
          await changeTest(job, { state: 'proved', proof, screenshot, endedAtUtc: new Date(clock.now()).toISOString() })
          await job.note('test-cutover', `the test VM ${vmName} reported as ${proof.hostName}, system state ${proof.systemState === '' ? 'unknown' : proof.systemState}. ${UNDO.replace('NAME', job.record.name)}`)
          return
        }
      } catch (error) {
        signal.throwIfAborted()
        if (!isAppError(error)) throw error
        log.warn({ err: error, jobId: job.record.id }, 'boot report of the test VM could not be asked for')
        if (!CODES[error.code].retryable) {
          await fail(`the test VM ${vmName} cannot be asked for its boot report: ${error.message}`)
          return
        }
      }
      if (clock.now() - Date.parse(poweredOnAtUtc) >= times.bootMs) {
        await fail(`the test VM ${vmName} gave no sign of life within ${String(Math.round(times.bootMs / 1000))} s. Look at its console; ${meanwhile(job)}`)
        return
      }
      await clock.sleep(POLL_MS, signal)
    }
  } finally {
    await hypervisor?.[Symbol.asyncDispose]()
  }

  async function fail(message: string): Promise<void> {
    const screenshot = await keepScreenshot(seams, job, 'test-cutover', vmId, signal)
    await changeTest(job, { state: 'failed', message, screenshot, endedAtUtc: new Date(clock.now()).toISOString() })
    await job.note('test-cutover', `${message}. ${UNDO.replace('NAME', job.record.name)}`)
  }
}
