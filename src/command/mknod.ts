/** Device nodes: `mknod`, because Node cannot make them. */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 10_000

/** Makes a device node at `path`, in a directory of ours. @throws {AppError} TOOL_FAILED when something is there; what Runner throws */
export async function makeNode(runner: Runner, path: string, kind: 'block' | 'character', major: number, minor: number, mode: string, signal: AbortSignal): Promise<void> {
  await runner.run('mknod', [`--mode=${mode}`, '--', path, kind === 'block' ? 'b' : 'c', String(major), String(minor)], { signal, timeoutMs: TIMEOUT_MS })
}
