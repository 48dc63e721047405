/** Encrypted containers that are unlocked: `cryptsetup status`. Reads only; keys are never asked for. */
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

export interface CryptMapping {
  /** LUKS1, LUKS2, PLAIN, BITLK ... */
  type: string
  cipher: string
  keyBits: number
  /** path of the container's node */
  device: string
}

const TIMEOUT_MS = 30_000

/** @throws {AppError} TOOL_OUTPUT when it names no type; TOOL_FAILED when there is no such map; what Runner throws */
export async function readCryptMapping(runner: Runner, name: string, signal: AbortSignal): Promise<CryptMapping> {
  const { stdout } = await runner.run('cryptsetup', ['status', '--', name], { signal, timeoutMs: TIMEOUT_MS })
  const values = new Map(stdout.split('\n').flatMap(line => { const [, key, value] = /^\s+([a-z ]+?):\s*(.*)$/.exec(line) ?? []; return key === undefined ? [] : [[key, value ?? ''] as const] }))
  const type = values.get('type')
  if (type === undefined) throw new AppError('TOOL_OUTPUT', `cryptsetup names no type for ${name}`)
  return { type, cipher: values.get('cipher') ?? '', keyBits: Number(/^\d+/.exec(values.get('keysize') ?? '')?.[0] ?? 0), device: values.get('device') ?? '' }
}
