/** Runs load.c, which is compiled when it has changed. */
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PROJECT } from '../lab/paths.ts'
import { tool } from '../lab/tool.ts'

const LoadReport = z.object({ operations: z.number(), bytes: z.number(), distinctBytes: z.number(), seconds: z.number(), behindMs: z.number() })
/** what the load did, and how far it fell behind its rate at worst */
export type LoadReport = z.infer<typeof LoadReport>

export interface Load {
  kind: 'mixed' | 'random' | 'names' | 'touch'
  /** bytes a second of `mixed`, operations a second of the others; 0: as fast as it goes */
  rate: number
  seconds: number
  /** small files of corpus.ts in the place */
  files?: number
}

const SOURCE = new URL('load.c', import.meta.url).pathname
const SEED = 1

/** @throws {ToolFailed} when it could not do what it was to */
export async function runLoad(place: string, { kind, rate, seconds, files = 1 }: Load, signal: AbortSignal): Promise<LoadReport> {
  const { stdout } = await tool(await compiled(), [kind, place, String(rate), String(seconds), String(SEED), String(files)], { timeoutMs: seconds * 4000 + 300_000, signal })
  return LoadReport.parse(JSON.parse(stdout))
}

async function compiled(): Promise<string> {
  const folder = join(PROJECT, '.lab', 'bench')
  const program = join(folder, 'load')
  const made = await stat(program).catch(() => undefined)
  if (made === undefined || made.mtimeMs < (await stat(SOURCE)).mtimeMs) {
    await mkdir(folder, { recursive: true })
    await tool('gcc', ['-O2', '-Wall', '-o', program, SOURCE])
  }
  return program
}
