import type { Command } from 'commander'
import type { Surroundings } from './command.ts'
import { addPlainAction } from './job-action.ts'

/** `landfall job pause`: nothing is sent; changes go on collecting at the source. */
export function addJobPause(parent: Command, surroundings: Surroundings): void {
  addPlainAction(parent, surroundings, 'pause', 'pause the flow of data; changes wait at the source', job => `Its transmit mode is ${job.transmitMode}. Go on with: landfall job resume ${job.id}`)
}
