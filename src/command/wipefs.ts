/** Signatures of file systems, tables and members on a device: `wipefs`. Unlike blkid it lists all of them, also hidden ones. */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

const Answer = z.object({ signatures: z.array(z.object({ offset: z.string(), type: z.string() })) })
const TIMEOUT_MS = 30_000

/** Names of what `device` carries, '' never among them; empty for a blank device. @throws {AppError} TOOL_OUTPUT; what Runner throws */
export async function listSignatures(runner: Runner, device: string, signal: AbortSignal): Promise<readonly string[]> {
  const { stdout } = await runner.run('wipefs', ['--no-act', '--json', '--', device], { signal, timeoutMs: TIMEOUT_MS })
  if (stdout.trim() === '') return []
  try {
    return Answer.parse(JSON.parse(stdout)).signatures.map(s => s.type)
  } catch (error) {
    throw new AppError('TOOL_OUTPUT', `cannot read what wipefs says about ${device}`, { cause: error })
  }
}

/** Takes all signatures off `device`; what is on it is lost then. @throws {AppError} what Runner throws */
export async function wipeSignatures(runner: Runner, device: string, signal: AbortSignal): Promise<void> {
  await runner.run('wipefs', ['--all', '--quiet', '--', device], { signal, timeoutMs: TIMEOUT_MS })
}
