/** Room for all of a file: `fallocate`. */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 120_000

/** Gives the holes of the file room of their own, which reads as zeros as they do; what it holds, and its size, stay. @throws {AppError} what Runner throws */
export async function allocate(runner: Runner, path: string, sizeBytes: number, signal: AbortSignal): Promise<void> {
  await runner.run('fallocate', ['--length', String(sizeBytes), '--', path], { signal, timeoutMs: TIMEOUT_MS })
}
