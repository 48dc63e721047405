import { z } from 'zod'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { Clock } from '../clock/clock.ts'
import { faultError, faultOfMethodFault, faultType } from './vsphere-faults.ts'
import { decode, readAnswer, Ref, vim, type VimValue } from './vsphere-object.ts'
import type { VsphereSession } from './vsphere-session.ts'
import type { OperationName } from './vsphere-types.ts'

/** How a task is run: `doing` completes "cannot …" in an error; `whileWaiting` is asked after each quiet stretch and may throw. */
export interface TaskOptions {
  readonly signal: AbortSignal
  readonly doing: string
  readonly deadlineMs?: number
  readonly whileWaiting?: () => Promise<void>
}

const DEADLINE_MS = 10 * 60_000
const STRETCH_S = 15 // one long poll
const MAX_REBUILDS = 5

const UpdateSet = z.object({
  version: z.string(),
  filterSet: z.array(z.object({ objectSet: z.array(z.object({ changeSet: z.array(z.object({ name: z.string(), val: z.unknown().optional() })).optional() })).optional() })).optional(),
})

/**
 * Starts a task and waits for its end with a long poll. Answers with its result. An abort or the deadline asks the server to cancel the
 * task, which it may not be able to: look at what is there before starting again.
 * @throws {AppError} VSPHERE_TIMEOUT at the deadline, else what the fault means
 */
export async function runTask(session: VsphereSession, operation: OperationName, self: Ref, fields: Readonly<Record<string, VimValue>>, options: TaskOptions): Promise<unknown> {
  const task = readAnswer(Ref, await session.call(operation, self, fields, options), options.doing)
  const deadline = AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS)
  const signal = AbortSignal.any([options.signal, deadline])
  try {
    return await waitForTask(session, task, { ...options, signal })
  } catch (error) {
    if (!signal.aborted) throw error
    // Best effort: most tasks cannot be cancelled, and the reason of the end stays what it was.
    await session.call('CancelTask', task, {}, { signal: AbortSignal.timeout(5000), doing: 'cancel the task' }).catch(() => undefined)
    options.signal.throwIfAborted()
    throw new AppError('VSPHERE_TIMEOUT', `cannot ${options.doing}: the task did not end within ${String(options.deadlineMs ?? DEADLINE_MS)} ms`, { cause: error })
  }
}

async function waitForTask(session: VsphereSession, task: Ref, options: TaskOptions): Promise<unknown> {
  const state = new Map<string, unknown>()
  for (let rebuilt = 0; ; rebuilt += 1) {
    const logins = session.logins
    try {
      await followTask(session, task, state, options)
      break
    } catch (error) {
      // A collector belongs to a session; with a new login it is gone, and the task is followed anew.
      const collectorGone = faultType(error) === 'ManagedObjectNotFound' && state.get('info.state') !== 'error'
      if (rebuilt >= MAX_REBUILDS || !(collectorGone || session.logins !== logins)) throw error
    }
  }
  if (state.get('info.state') === 'success') return state.get('info.result')
  throw faultError(faultOfMethodFault(state.get('info.error')), options.doing)
}

/** Fills `state` until the task has ended. */
async function followTask(session: VsphereSession, task: Ref, state: Map<string, unknown>, options: TaskOptions): Promise<void> {
  const collector = readAnswer(Ref, await session.call('CreatePropertyCollector', session.content.propertyCollector, {}, options), options.doing)
  try {
    await session.call('CreateFilter', collector, { partialUpdates: false, spec: vim('PropertyFilterSpec', {
      propSet: [vim('PropertySpec', { type: 'Task', all: false, pathSet: ['info.state', 'info.error', 'info.result'] })],
      objectSet: [vim('ObjectSpec', { obj: task, skip: false })],
    }) }, options)
    let version = ''
    while (state.get('info.state') !== 'success' && state.get('info.state') !== 'error') {
      const update = await session.call('WaitForUpdatesEx', collector, { version, options: vim('WaitOptions', { maxWaitSeconds: STRETCH_S }) },
        { signal: options.signal, doing: options.doing, timeoutMs: (STRETCH_S + 45) * 1000 })
      if (update === undefined) { await options.whileWaiting?.(); continue }
      const set = readAnswer(UpdateSet, update, options.doing)
      version = set.version
      const changes = (set.filterSet ?? []).flatMap(f => f.objectSet ?? []).flatMap(o => o.changeSet ?? [])
      for (const { name, val } of changes) state.set(name, decode(val))
    }
  } finally {
    await session.call('DestroyPropertyCollector', collector, {}, { signal: AbortSignal.timeout(5000), doing: 'end the wait' }).catch(() => undefined)
  }
}

/** How often and how long a refusal that may pass is tried again. */
export interface Patience { readonly clock: Clock, readonly signal: AbortSignal, readonly attempts?: number }

const ATTEMPTS = 7
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 15_000

/**
 * Calls `attempt` again, at most `attempts` times in all, while it fails with VSPHERE_BUSY or one of the faults in `alsoRetried`. The pause
 * doubles and varies, so that jobs which met at the same lock do not meet again.
 */
export async function withPatience<T>(patience: Patience, alsoRetried: readonly string[], attempt: () => Promise<T>): Promise<T> {
  for (let made = 1; ; made += 1) {
    try {
      return await attempt()
    } catch (error) {
      const passing = isAppError(error, 'VSPHERE_BUSY') || alsoRetried.includes(faultType(error) ?? '')
      if (!passing || made >= (patience.attempts ?? ATTEMPTS)) throw error
      const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (made - 1))
      await patience.clock.sleep(pause / 2 + Math.random() * pause / 2, patience.signal)
    }
  }
}
