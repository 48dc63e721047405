import type { Command } from 'commander'
import type { Surroundings } from './command.ts'
import { addPlainAction } from './job-action.ts'

/** `landfall job resume`: a paused flow goes on where it was. */
export function addJobResume(parent: Command, surroundings: Surroundings): void {
  addPlainAction(parent, surroundings, 'resume', 'let a paused flow of data go on where it was', job => `Its transmit mode is ${job.transmitMode}. See it with: landfall job watch ${job.id}`)
}
