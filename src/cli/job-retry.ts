import type { Command } from 'commander'
import type { Surroundings } from './command.ts'
import { addPlainAction } from './job-action.ts'

/** `landfall job retry`: takes a failed job up again, beginning with its validation. */
export function addJobRetry(parent: Command, surroundings: Surroundings): void {
  addPlainAction(parent, surroundings, 'retry', 'validate a failed job again, so that it can be started where it was', job => `See it with: landfall job watch ${job.id}`)
}
