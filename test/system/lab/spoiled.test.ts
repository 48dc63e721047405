import { existsSync, statSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { JobView } from '../../../src/domain/job.ts'
import { createLab, type Lab } from '../../lab/lab.ts'
import { JOB, migrate } from '../../lab/migrate.ts'
import { onReplica, until, untilProtecting } from './on-replica.ts'

const LIMIT_MS = 1_100_000
const MANY_CHANGES = 20
const LIMIT_BYTES_PER_S = 100_000
const LOOK_MS = 5000
/** at the limit this takes five minutes */
const LARGE_BYTES = 32 << 20
const LARGE_MS = 100_000
/** what was under way when the limit came, and what the figures are late by */
const SLACK_BYTES = 4 << 20

interface Flow { t: Test, lab: Lab, view: () => Promise<JobView>, act: (...args: string[]) => Promise<void>, signal: AbortSignal }

/** Resolves when the file of the source is on the replica, complete. */
async function arrived({ lab, view, signal }: Flow, path: string): Promise<void> {
  const [job, content] = [await view(), await readFile(join(lab.source.root, path))]
  await until(`${path} on the replica`, signal, async () => existsSync(onReplica(lab, job, path)) && (await readFile(onReplica(lab, job, path))).equals(content) ? true : undefined)
}

async function pauseAndResume(flow: Flow): Promise<void> {
  const { t, lab, view, act, signal } = flow
  const before = await view()
  await act('pause', JOB)
  await until('the pause', signal, async () => (await view()).activity.startsWith('paused') ? true : undefined)
  await writeFile(join(lab.source.root, 'data/while-paused'), lab.run.id)
  const job = await until('changes that wait', signal, async () => {
    const now = await view()
    return (now.replication?.queued ?? 0) >= MANY_CHANGES && (now.replication?.recoveryPointLatencyMs ?? 0) > LOOK_MS ? now : undefined
  })
  t.match(job, { state: 'protecting', transmitMode: 'paused' })
  t.ok(job.actions.includes('resume'))
  t.notOk(existsSync(onReplica(lab, job, '/data/while-paused')), 'what changes meanwhile waits at the source')
  await act('resume', JOB)
  await arrived(flow, '/data/while-paused')
  const after = await view()
  t.equal(after.transmitMode, 'active')
  t.same(after.mirror, before.mirror, 'no new mirror was made')
  t.equal(after.captureEpoch, before.captureEpoch)
}

async function limit(flow: Flow): Promise<void> {
  const { t, lab, view, act, signal } = flow
  const before = await view()
  await act('set', JOB, '--bandwidth', String(LIMIT_BYTES_PER_S))
  await writeFile(join(lab.source.root, 'data/large'), randomBytes(LARGE_BYTES))
  const sinceMs = performance.now()
  const from = await view()
  await new Promise(resolve => setTimeout(resolve, LOOK_MS))
  const to = await view()
  const most = LIMIT_BYTES_PER_S * (performance.now() - sinceMs) / 1000 + SLACK_BYTES
  const sent = (to.replication?.bytesSent ?? 0) - (from.replication?.bytesSent ?? 0)
  t.ok(sent < most, `${String(sent)} bytes were sent at the limit, which allows ${most.toFixed()}`)
  const there = onReplica(lab, from, '/data/large')
  t.notOk(existsSync(there) && statSync(there).blocks * 512 >= LARGE_BYTES, 'the large file takes its time')
  await act('set', JOB, '--bandwidth', 'unlimited')
  await arrived({ ...flow, signal: AbortSignal.any([signal, AbortSignal.timeout(LARGE_MS)]) }, '/data/large')
  const after = await view()
  t.equal(after.options.bandwidthBytesPerS, undefined)
  t.same([after.mirror, after.captureEpoch], [before.mirror, before.captureEpoch], 'nothing was interrupted')
}

async function hangingTask(flow: Flow): Promise<void> {
  const { t, lab, view, act, signal } = flow
  await writeFile(join(lab.appliance.tasksDirectory, 'hang'), '#!/bin/sh\necho "begun with $1"\nexec sleep 600\n', { mode: 0o700 })
  await act('task', 'add', JOB, 'hang', '--argument', 'a b', '--timeout', '10s')
  await until('the task to run', signal, async () => (await view()).userTasks?.[0]?.state === 'waiting' ? undefined : true)
  await writeFile(join(lab.source.root, 'data/behind-the-task'), lab.run.id)
  const task = await until('the end of the task', signal, async () => {
    const [found] = (await view()).userTasks ?? []
    return found !== undefined && found.state !== 'waiting' && found.state !== 'running' ? found : undefined
  })
  t.match(task, { state: 'timed-out', output: 'begun with a b\n' })
  await arrived(flow, '/data/behind-the-task')
  t.match(await view(), { state: 'protecting', transmitMode: 'active' })
}

async function stopAndStart(flow: Flow): Promise<void> {
  const { t, lab, view, act, signal } = flow
  const before = await view()
  await act('stop', JOB)
  const stopped = await until('the stop', signal, async () => {
    const now = await view()
    return now.state === 'stopped' ? now : undefined
  })
  t.match(stopped, { transmitMode: 'stopped', targetData: 'mirror-required' })
  await writeFile(join(lab.source.root, 'data/while-stopped'), lab.run.id)
  await rm(join(lab.source.root, 'data/while-paused'))
  await act('start', JOB)
  const job = await untilProtecting(view, signal)
  t.not(job.captureEpoch, before.captureEpoch, 'what was captured is forgotten')
  t.ok((job.mirror?.filesSkipped ?? 0) > 1000, 'a mirror has found what is equal')
  t.ok((job.mirror?.filesDone ?? 0) < (before.mirror?.filesDone ?? 0), 'and sent what differs')
  t.equal(job.targetData, 'ok')
  await arrived(flow, '/data/while-stopped')
  t.notOk(existsSync(onReplica(lab, job, '/data/while-paused')), 'what was deleted meanwhile is gone')
}

t.test('a job is paused, limited, has a task that hangs, and is stopped while the source is written to; then one byte that is changed on the replica is all that differs', async (t) => {
  const signal = AbortSignal.timeout(LIMIT_MS)
  await using lab = await createLab({ say: t.comment.bind(t), table: 'dos', seed: 8 }, signal)
  const act = async (...args: string[]): Promise<void> => {
    const { exitCode, stderr } = await lab.cli.run(['job', ...args], { signal })
    t.equal(exitCode, 0, `landfall job ${args.join(' ')} ${stderr}`)
  }
  const result = await migrate(lab, {
    spoil: true, disks: 'per-volume', onStep: t.comment.bind(t),
    whileProtecting: async view => {
      const flow = { t, lab, view, act, signal }
      await pauseAndResume(flow)
      await limit(flow)
      await hangingTask(flow)
      await stopAndStart(flow)
    },
  }, signal)
  t.ok(result.booted, 'it boots all the same, from disks of MBR, one for each volume')
  t.notOk(result.equal)
  t.strictSame(result.comparison.differences.map(d => d.path), ['/data/db/table.ibd'])
})
