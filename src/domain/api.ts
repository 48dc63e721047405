/**
 * What the API offers, in one place: its routes, and the records of its answers that no other file has. Server: `api/`; clients: `cli/`, `console/`.
 *
 *   GET    /health                          Health; no token needed
 *   GET    /openapi.json                    the OpenAPI 3.1 document; no token needed
 *   POST   /enrolments                      Enrol -> 201 Enrolled; the enrolment token in the body is the permission
 *   GET    /sources                         SourceRecord[]                      POST /sources   AddSource  -> 201 EnrolmentOffer
 *   GET    /sources/{source}                SourceRecord                        DELETE /sources/{source}   -> 204
 *   POST   /sources/{source}/actions/renew-token   RenewToken -> 201 EnrolmentOffer; the earlier token is void
 *   GET    /sources/{source}/workload       Workload, asked of the agent now
 *   GET    /vmware                          VmwareRecord[]                      POST /vmware    AddVmware  -> 201 VmwareRecord
 *   GET    /vmware/{vmware}                 VmwareRecord                        DELETE /vmware/{vmware}    -> 204
 *   GET    /vmware/{vmware}/places          Places, asked of the VMware server now
 *   GET    /jobs                            JobView[]                           POST /jobs      CreateJob  -> 201 JobView
 *   GET    /jobs/{job}                      JobView                             PATCH  /jobs/{job}     EditJob    -> JobView
 *   POST   /jobs/{job}/user-tasks           AddUserTask -> 202 JobView; its `userTasks` tell what became of it
 *   POST   /jobs/{job}/actions/{action}     -> 202 JobView; action is a JobAction; remove takes ?keepDisks=true
 *   GET    /jobs/{job}/history?after=0&limit=100   JobEventRecord[]
 *   GET    /jobs/{job}/screenshot?of=cutover|test-cutover   image/png: what the replica's screen showed, see ScreenshotOf
 *   GET    /jobs/{job}/events               server-sent events, see JobStreamEvent; Last-Event-ID goes on behind that history event
 *
 * {source}, {vmware} and {job} take the id or the name. `source` and `vmware` of a JobView are names. Lists hold at most 1000 records.
 * Every other route needs `Authorization: Bearer TOKEN`; role monitor may only GET. Errors are application/problem+json with a Problem.
 */
import { z } from 'zod'
import { JobEventRecord, JobView } from './job.ts'

export const Health = z.object({ status: z.literal('ok'), version: z.string(), protocolVersion: z.number().int(), startedAtUtc: z.string() })
export type Health = z.infer<typeof Health>

export const RenewToken = z.object({ tokenValidMs: z.number().int().min(1000).max(7 * 86400_000).default(3600_000) })
export type RenewToken = z.infer<typeof RenewToken>

/**
 * GET /jobs/{job}/events: `event: job` with a whole JobView, first the present one, then after each change, at most four a second; `event: history`
 * with one JobEventRecord, its sequence as `id:`. The stream ends after the job is removed.
 */
export const JobStreamEvent = z.discriminatedUnion('event', [
  z.object({ event: z.literal('job'), data: JobView }),
  z.object({ event: z.literal('history'), data: JobEventRecord }),
])
export type JobStreamEvent = z.infer<typeof JobStreamEvent>
