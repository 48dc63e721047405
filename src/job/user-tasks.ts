/** Runs the tasks that a person has put into the stream of a job: one after the other, each behind what was captured before it. */
import type { ScriptRunner } from '../command/script-runner.ts'
import type { UserTask } from '../domain/user-task.ts'
import { isAppError } from '../errors/app-error.ts'
import type { SourceServer } from '../source/source-server.ts'
import type { JobHandle, Seams } from './step.ts'

/** Does the work, whose end is theirs, with the tasks of users beside it. @throws what either throws; when the tasks fail the work is aborted */
export async function withUserTasks(seams: Pick<Seams, 'clock' | 'scripts'>, job: JobHandle, source: SourceServer, work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
  const over = new AbortController()
  const failed = new AbortController()
  const tasks = (async () => {
    try {
      await runUserTasks(seams, job, source, AbortSignal.any([signal, over.signal]))
    } catch (error) {
      failed.abort(error)
    }
  })()
  try {
    await work(AbortSignal.any([signal, failed.signal]))
  } finally {
    over.abort()
    await tasks
  }
  failed.signal.throwIfAborted()
}

/**
 * Runs the tasks that wait, one after the other, while `flow` has the changes go on until its signal aborts. True when there was any. Each ends
 * as it ends: none keeps anybody waiting for longer than its time limit.
 * @throws {AppError} LINK_LOST; what the flow throws
 */
export async function finishUserTasks(seams: Pick<Seams, 'clock' | 'scripts'>, job: JobHandle, source: SourceServer, flow: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<boolean> {
  if (waitingTask(job) === undefined) return false
  const over = new AbortController()
  const failed = new AbortController()
  const flowing = (async () => {
    try {
      await flow(AbortSignal.any([signal, over.signal]))
    } catch (error) {
      failed.abort(error)
    }
  })()
  try {
    const inner = AbortSignal.any([signal, failed.signal])
    for (let next = waitingTask(job); next !== undefined; next = waitingTask(job)) await runTask(seams, job, source, next, inner)
  } finally {
    over.abort()
    await flowing
  }
  failed.signal.throwIfAborted()
  return true
}

function waitingTask(job: JobHandle): UserTask | undefined {
  return job.record.userTasks?.find(({ state }) => state === 'waiting')
}

/** Goes on until the signal aborts, and resolves then. @throws {AppError} LINK_LOST: a task that waits goes on waiting */
async function runUserTasks(seams: Pick<Seams, 'clock' | 'scripts'>, job: JobHandle, source: SourceServer, signal: AbortSignal): Promise<void> {
  try {
    while (!signal.aborted) {
      const over = new AbortController()
      const ordered = job.ordered(AbortSignal.any([signal, over.signal]))
      try {
        const next = waitingTask(job)
        if (next === undefined) await ordered
        else await runTask(seams, job, source, next, signal)
      } finally {
        over.abort()
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** Behind what was captured before now. */
async function runTask({ clock, scripts }: Pick<Seams, 'clock' | 'scripts'>, job: JobHandle, source: SourceServer, task: UserTask, signal: AbortSignal): Promise<void> {
  await source.whenReplicated(signal)
  await changeTask(job, task.id, { state: 'running', startedAtUtc: new Date(clock.now()).toISOString() })
  const result = await ran(scripts, task, signal)
  await changeTask(job, task.id, { ...result, endedAtUtc: new Date(clock.now()).toISOString() })
  await job.note('user-task', `task ${task.script}: ${result.state}${result.exitCode === undefined ? '' : `, exit code ${String(result.exitCode)}`}`)
}

/** Of a task that was running when the appliance ended nobody knows how far it came: it is not run again. */
export async function noteInterruptedTasks(job: JobHandle): Promise<void> {
  for (const { id, state } of job.record.userTasks ?? []) if (state === 'running') await changeTask(job, id, { state: 'interrupted' })
}

async function ran(scripts: ScriptRunner, { script, arguments: args, timeoutMs }: UserTask, signal: AbortSignal): Promise<Pick<UserTask, 'state' | 'exitCode' | 'output'>> {
  try {
    const { exitCode, timedOut, output } = await scripts.run(script, args, { timeoutMs, signal })
    return { state: timedOut ? 'timed-out' : exitCode === 0 ? 'done' : 'failed', ...(exitCode === undefined ? {} : { exitCode }), output }
  } catch (error) {
    if (signal.aborted) return { state: 'interrupted' }
    if (!isAppError(error)) throw error
    return { state: 'failed', output: error.message }
  }
}

async function changeTask(job: JobHandle, id: string, change: Partial<UserTask>): Promise<void> {
  await job.amend(record => ({ userTasks: (record.userTasks ?? []).map(task => (task.id === id ? { ...task, ...change } : task)) }))
}
