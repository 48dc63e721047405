import type { Command } from 'commander'
import type { Surroundings } from './command.ts'
import { addPlainAction } from './job-action.ts'

/** `landfall job stop`: ends the flow and the capture; a start mirrors again. */
export function addJobStop(parent: Command, surroundings: Surroundings): void {
  addPlainAction(parent, surroundings, 'stop', 'stop a job; its disks stay, and a start mirrors again', job => `Start it again with: landfall job start ${job.id}`)
}
