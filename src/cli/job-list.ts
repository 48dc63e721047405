import type { Command } from 'commander'
import { z } from 'zod'
import { JobView } from '../domain/job.ts'
import { addCommand, type Surroundings } from './command.ts'
import { mirrorShare, percent } from '../domain/progress.ts'
import { formatDuration, printJson, severityColour, table, type Cell } from './output.ts'

/** `landfall job list`: where every job is. */
export function addJobList(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, { usage: 'list', summary: 'list the jobs' }, surroundings, async ({ client, terminal, signal, json }) => {
    const jobs = await client.get('/jobs', z.array(JobView), { signal })
    if (json) {
      printJson(terminal, jobs)
      return
    }
    terminal.out(table(['NAME', 'SOURCE', 'STATE', 'HEALTH', 'MIRROR', 'LATENCY', 'ACTIVITY'], jobs.map(j => [
      j.name, j.source, j.state, health(j), j.mirror === undefined ? '' : percent(mirrorShare(j.mirror)),
      j.state === 'protecting' && j.replication !== undefined ? formatDuration(j.replication.recoveryPointLatencyMs) : '', j.activity,
    ]), terminal.colours))
  })
}

function health({ health: text }: JobView): Cell {
  const colour = severityColour(text)
  return colour === undefined ? { text } : { text, colour }
}
