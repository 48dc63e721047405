import type { Command } from 'commander'
import { z } from 'zod'
import { VmwareRecord } from '../domain/server.ts'
import { Places } from '../domain/target.ts'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { formatBytes, printJson, table, type Cell } from './output.ts'

const Options = z.object({ places: z.boolean().default(false) })

const INVENTORY_TIMEOUT_MS = 120_000

/** `landfall vmware list`: the VMware servers; with --places what each offers, asked of it now. */
export function addVmwareList(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, { usage: 'list', summary: 'list the VMware servers', details: 'With --places also their datastores and networks, asked of them now.' }, surroundings, async ({ options, client, terminal, signal, json }) => {
    const servers = await client.get('/vmware', z.array(VmwareRecord), { signal })
    if (!Options.parse(options).places) {
      if (json) printJson(terminal, servers)
      else terminal.out(serverTable(servers, terminal.colours))
      return
    }
    const all: (VmwareRecord & { places: Places })[] = []
    for (const server of servers) {
      all.push({ ...server, places: await client.get(`/vmware/${step(server.id)}/places`, Places, { signal, timeoutMs: INVENTORY_TIMEOUT_MS }) })
    }
    if (json) {
      printJson(terminal, all)
      return
    }
    terminal.out(serverTable(servers, terminal.colours))
    for (const { name, places } of all) terminal.out(placesText(name, places, terminal.colours))
  }).option('--places', 'also list datastores and networks')
}

function serverTable(servers: readonly VmwareRecord[], colours: boolean): string {
  return table(['NAME', 'ADDRESS', 'USER', 'PRODUCT', 'CERTIFICATE'],
    servers.map(s => [s.name, `${s.host}:${String(s.port)}`, s.user, s.product, s.thumbprint === '' ? 'verified' : 'pinned']), colours)
}

function placesText(name: string, places: Places, colours: boolean): string {
  const datastores = places.datastores.map((d): (string | Cell)[] => [
    d.name, formatBytes(d.freeBytes), formatBytes(d.capacityBytes), d.accessible ? 'accessible' : { text: 'not accessible', colour: 'red' },
  ])
  return `\n${name}: host ${places.host} in ${places.datacenter}${places.hostConnected ? '' : ', not connected'}${places.maintenance ? ', in maintenance' : ''}\n`
    + `\n${table(['DATASTORE', 'FREE', 'CAPACITY', ''], datastores, colours)}`
    + `\n${table(['NETWORK', 'KIND'], places.networks.map(n => [n.name, n.kind]), colours)}`
}
