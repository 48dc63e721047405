import type { Command } from 'commander'
import type { Surroundings } from './command.ts'
import { addPlainAction } from './job-action.ts'

/** `landfall job remirror`: a new mirror of a protected job, as its options say. */
export function addJobRemirror(parent: Command, surroundings: Surroundings): void {
  addPlainAction(parent, surroundings, 'remirror', 'mirror a protected job again', job => `See it with: landfall job watch ${job.id}`)
}
