import type { Command } from 'commander'
import type { Surroundings } from './command.ts'
import { addPlainAction } from './job-action.ts'

/** `landfall job start`: makes the replica's disks and mirrors. */
export function addJobStart(parent: Command, surroundings: Surroundings): void {
  addPlainAction(parent, surroundings, 'start', 'start a validated or stopped job', job => `See it with: landfall job watch ${job.id}`)
}
