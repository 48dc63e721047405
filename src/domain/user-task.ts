/** A user's command in the stream of changes: it runs on the appliance when everything that was captured before it is on the replica. */
import { z } from 'zod'

/** Name of a file in the appliance's directory of tasks: no path, nothing that a program could take for an option. */
const ScriptName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'the name of a script in the tasks directory of the appliance, without slashes')
const Argument = z.string().max(4096).regex(/^[^\0]*$/, 'text without NUL')

export const MAX_TASK_OUTPUT_BYTES = 64 * 1024
/** Finished ones are forgotten, the oldest first, when there are more. */
export const MAX_USER_TASKS = 50

export const AddUserTask = z.strictObject({
  script: ScriptName,
  arguments: z.array(Argument).max(64).default([]),
  timeoutMs: z.number().int().min(1000).max(3600_000).default(300_000),
})
export type AddUserTask = z.infer<typeof AddUserTask>

export const UserTaskState = z.enum(['waiting', 'running', 'done', 'failed', 'timed-out', 'interrupted'])
export type UserTaskState = z.infer<typeof UserTaskState>

export const UserTask = z.object({
  id: z.string(), script: z.string(), arguments: z.array(z.string()), timeoutMs: z.number(),
  /** failed: it ended with another exit code than 0, or could not be run. interrupted: the appliance ended meanwhile; it is not run again */
  state: UserTaskState,
  addedAtUtc: z.string(), startedAtUtc: z.string().optional(), endedAtUtc: z.string().optional(),
  exitCode: z.number().optional(),
  /** the beginning of what it wrote; or why it could not be run */
  output: z.string().optional(),
})
export type UserTask = z.infer<typeof UserTask>
