/** Jobs: what a user plans, starts, watches and cuts over. */
import { z } from 'zod'
import { JobStreamEvent } from '../domain/api.ts'
import { CreateJob, EditJob, JobAction, JobEventRecord, JobView, targetDataState, type Job } from '../domain/job.ts'
import { AddUserTask } from '../domain/user-task.ts'
import { ScreenshotOf } from '../domain/replica.ts'
import { KeepMs, TestDisks } from '../domain/test-cutover.ts'
import { checkRules } from '../domain/rule.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { JobEngine } from '../job/job-engine.ts'
import { isHandedOver, offeredActions, shownTransmitMode } from '../job/job-state.ts'
import type { PassphraseStore, SourceStore, VmwareStore } from '../server/server-store.ts'
import type { ConnectedSources } from '../source/source-server.ts'
import { endpoint, fileEndpoint, streamEndpoint, type Endpoint, type StreamEvent } from './endpoint.ts'

export interface JobParts { engine: JobEngine, sources: SourceStore, vmware: VmwareStore, passphrases: PassphraseStore, connected: ConnectedSources }

const History = z.object({ after: z.coerce.number().int().min(0).default(0), limit: z.coerce.number().int().min(1).max(1000).default(100) })
const ActionQuery = z.object({
  keepDisks: z.enum(['true', 'false']).default('false'),
  network: z.string().min(1).max(255).optional(), testDisks: TestDisks.optional(), keepMs: KeepMs.optional(),
})
const ScreenshotQuery = z.object({ of: ScreenshotOf.default('cutover') })
const LastEventId = z.coerce.number().int().min(0)

export function jobEndpoints(parts: JobParts): Endpoint[] {
  const { engine, sources, vmware } = parts
  return [
    endpoint({ id: 'job.list', method: 'get', path: '/jobs', summary: 'All jobs, oldest first', access: 'monitor', status: 200, answer: z.array(JobView) },
      async () => await Promise.all(engine.list().map(async job => await viewOf(parts, job)))),

    endpoint({ id: 'job.create', method: 'post', path: '/jobs', summary: 'Create a job; nothing is done yet', access: 'admin', status: 201, body: CreateJob, answer: JobView },
      async ({ body }) => {
        checkRules(body.options.rules)
        const source = await sources.get(body.source)
        const server = await vmware.get(body.vmware)
        const { passphrase, ...wanted } = body
        checkPassphrase(wanted.options.layout?.encryption, passphrase)
        const job = await engine.create({ ...wanted, source: source.id, vmware: server.id })
        if (passphrase !== undefined) await parts.passphrases.put(job.id, passphrase)
        return await viewOf(parts, job)
      }),

    endpoint({ id: 'job.show', method: 'get', path: '/jobs/{job}', summary: 'One job', access: 'monitor', status: 200, answer: JobView },
      async ({ parameter }) => await viewOf(parts, await engine.get(parameter('job')))),

    endpoint({ id: 'job.edit', method: 'patch', path: '/jobs/{job}', summary: 'Change options of a job that may change at any time; they hold at once', access: 'admin', status: 200, body: EditJob, answer: JobView },
      async ({ parameter, body }) => await viewOf(parts, await engine.edit(parameter('job'), body))),

    endpoint({ id: 'job.addTask', method: 'post', path: '/jobs/{job}/user-tasks', summary: 'Put a script of the appliance into the stream of a job: it runs there when everything captured before it is on the replica', access: 'admin', status: 202, body: AddUserTask, answer: JobView },
      async ({ parameter, body }) => await viewOf(parts, await engine.addUserTask(parameter('job'), body))),

    endpoint({ id: 'job.act', method: 'post', path: '/jobs/{job}/actions/{action}', summary: 'Ask something of a job; it is done in the background', access: 'admin', status: 202, query: ActionQuery, answer: JobView },
      async ({ parameter, query }) => {
        const action = JobAction.safeParse(parameter('action'))
        if (!action.success) throw new AppError('REQUEST_INVALID', `there is no action ${parameter('action')}; there are ${JobAction.options.join(', ')}`)
        return await viewOf(parts, await engine.act(parameter('job'), action.data, { ...query, keepDisks: query.keepDisks === 'true' }))
      }),

    endpoint({ id: 'job.history', method: 'get', path: '/jobs/{job}/history', summary: 'What happened to a job, behind an event', access: 'monitor', status: 200, query: History, answer: z.array(JobEventRecord) },
      async ({ parameter, query }) => [...await engine.history(parameter('job'), query.after, query.limit)]),

    fileEndpoint({ id: 'job.screenshot', method: 'get', path: '/jobs/{job}/screenshot', summary: 'What the screen of the replica showed when it had reported its first boot, or had not in time', access: 'monitor', status: 200, query: ScreenshotQuery, produces: 'image/png' },
      async ({ parameter, query }) => await engine.screenshot(parameter('job'), query.of)),

    streamEndpoint({ id: 'job.watch', method: 'get', path: '/jobs/{job}/events', summary: 'The job now and after each change, and its history, as server-sent events', access: 'monitor', status: 200, answer: JobStreamEvent },
      ({ parameter, header, signal }) => watchJob(parts, parameter('job'), lastEventId(header('last-event-id')), signal)),
  ]
}

/** @throws {AppError} REQUEST_INVALID */
function checkPassphrase(encryption: 'decrypt' | 're-encrypt' = 'decrypt', passphrase: string | undefined): void {
  if (encryption === 're-encrypt' && passphrase === undefined) throw new AppError('REQUEST_INVALID', 'a job that encrypts anew needs the new passphrase')
  if (encryption !== 're-encrypt' && passphrase !== undefined) throw new AppError('REQUEST_INVALID', 'a passphrase is for jobs that encrypt anew (layout.encryption "re-encrypt")')
}

async function *watchJob(parts: JobParts, idOrName: string, after: number, signal: AbortSignal): AsyncGenerator<StreamEvent> {
  for await (const notice of parts.engine.watch(idOrName, after, signal)) {
    if (notice.event === 'history') yield { event: 'history', id: String(notice.record.sequence), data: notice.record }
    else yield { event: 'job', data: await viewOf(parts, notice.job) }
  }
}

function lastEventId(value: string | undefined): number {
  if (value === undefined) return 0
  const id = LastEventId.safeParse(value)
  if (!id.success) throw new AppError('REQUEST_INVALID', 'Last-Event-ID is no sequence of a history event')
  return id.data
}

/** The record as shown: names for ids, what can be asked now, whether the source is there. */
async function viewOf({ sources, vmware, connected }: JobParts, job: Job): Promise<JobView> {
  const actions = offeredActions(job).filter(action => action !== 'retry' || !isHandedOver(job))
  return {
    ...job, actions, transmitMode: shownTransmitMode(job), sourceConnected: connected.find(job.source) !== undefined, targetData: targetDataState(job),
    source: await nameOf(sources, job.source), vmware: await nameOf(vmware, job.vmware),
  }
}

/** A removed job may outlive its servers. */
async function nameOf(store: { get: (id: string) => Promise<{ name: string }> }, id: string): Promise<string> {
  try {
    return (await store.get(id)).name
  } catch (error) {
    if (isAppError(error, 'SERVER_NOT_FOUND')) return id
    throw error
  }
}
