import type { Command } from 'commander'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { clean, printJson } from './output.ts'

/** `landfall vmware remove`: forgets a VMware server and its credentials; nothing on it changes. */
export function addVmwareRemove(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, { usage: 'remove <name>', summary: 'remove a VMware server and its credentials; nothing on it changes' }, surroundings, async ({ args, client, terminal, signal, json }) => {
    const name = args[0] ?? ''
    await client.delete(`/vmware/${step(name)}`, { signal })
    if (json) printJson(terminal, { removed: name })
    else terminal.out(`Removed ${clean(name)}.\n`)
  })
}
