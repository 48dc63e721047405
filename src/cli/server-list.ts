import type { Command } from 'commander'
import { z } from 'zod'
import { SourceRecord } from '../domain/server.ts'
import { addCommand, type Surroundings } from './command.ts'
import { formatTime, printJson, table, type Cell } from './output.ts'

/** `landfall server list`: the sources and whether their agents are connected. */
export function addServerList(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, { usage: 'list', summary: 'list the source servers' }, surroundings, async ({ client, terminal, signal, json }) => {
    const sources = await client.get('/sources', z.array(SourceRecord), { signal })
    if (json) {
      printJson(terminal, sources)
      return
    }
    terminal.out(table(['NAME', 'STATUS', 'HOST', 'SYSTEM', 'AGENT', 'LAST SEEN'],
      sources.map(s => [s.name, statusCell(s.status), s.hostName ?? '', s.osName ?? '', s.agentVersion ?? '', formatTime(s.lastSeenAtUtc)]), terminal.colours))
  })
}

function statusCell(status: SourceRecord['status']): Cell {
  switch (status) {
    case 'connected': return { text: 'connected', colour: 'green' }
    case 'disconnected': return { text: 'disconnected', colour: 'red' }
    case 'awaiting-enrolment': return { text: 'awaiting enrolment', colour: 'yellow' }
  }
}
