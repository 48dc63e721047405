import type { Command } from 'commander'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { clean, printJson } from './output.ts'

/** `landfall server remove`: forgets a source; its agent is refused from then on. */
export function addServerRemove(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, { usage: 'remove <name>', summary: 'remove a source server; its agent is refused from then on' }, surroundings, async ({ args, client, terminal, signal, json }) => {
    const name = args[0] ?? ''
    await client.delete(`/sources/${step(name)}`, { signal })
    if (json) printJson(terminal, { removed: name })
    else terminal.out(`Removed ${clean(name)}.\n`)
  })
}
