/** Encrypted containers: what is unlocked, and LUKS made and opened with a passphrase, which goes to the tool's standard input. */
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

/** What makes a container what it is; see domain/replica.ts. */
export interface LuksOptions { type: string, uuid: string, label: string, cipher: string, keyBits: number, headerBytes: number, keyDerivation: 'argon2id' | 'pbkdf2' }

const TIMEOUT_MS = 30_000
/** To find out what a key derivation costs takes some seconds, on a busy machine more. */
const KEY_TIMEOUT_MS = 300_000
/** The replica's initramfs needs as much each time; what cryptsetup takes by itself may be more than a small machine has. */
const KEY_MEMORY_KIB = 262_144
const SECTOR_BYTES = 512
const WRONG_PASSPHRASE = 2

/** @throws {AppError} TOOL_OUTPUT when it names no type; TOOL_FAILED when there is no such map; what Runner throws */
export async function readCryptMapping(runner: Runner, name: string, signal: AbortSignal): Promise<CryptMapping> {
  const { stdout } = await runner.run('cryptsetup', ['status', '--', name], { signal, timeoutMs: TIMEOUT_MS })
  const values = new Map(stdout.split('\n').flatMap(line => { const [, key, value] = /^\s+([a-z ]+?):\s*(.*)$/.exec(line) ?? []; return key === undefined ? [] : [[key, value ?? ''] as const] }))
  const type = values.get('type')
  if (type === undefined) throw new AppError('TOOL_OUTPUT', `cryptsetup names no type for ${name}`)
  return { type, cipher: values.get('cipher') ?? '', keyBits: Number(/^\d+/.exec(values.get('keysize') ?? '')?.[0] ?? 0), device: values.get('device') ?? '' }
}

/** Makes an empty container; whatever the device holds is lost. @throws {AppError} what Runner throws */
export async function formatLuks(runner: Runner, device: string, { type, uuid, label, cipher, keyBits, headerBytes, keyDerivation }: LuksOptions, passphrase: string, signal: AbortSignal): Promise<void> {
  await runner.run('cryptsetup', [
    'luksFormat', '--batch-mode', '--type', type.toLowerCase(), '--uuid', uuid, '--cipher', cipher, '--key-size', String(keyBits), '--offset', String(headerBytes / SECTOR_BYTES),
    ...type === 'LUKS2' ? ['--sector-size', String(SECTOR_BYTES), '--pbkdf', keyDerivation, ...keyDerivation === 'pbkdf2' ? [] : ['--pbkdf-memory', String(KEY_MEMORY_KIB)], ...label === '' ? [] : ['--label', label]] : [],
    '--key-file', '-', '--', device,
  ], { signal, timeoutMs: KEY_TIMEOUT_MS, input: passphrase })
}

/** Unlocks the container as /dev/mapper/NAME. @returns false when the passphrase is not its own @throws {AppError} what Runner throws */
export async function openLuks(runner: Runner, device: string, name: string, passphrase: string, signal: AbortSignal): Promise<boolean> {
  const { exitCode } = await runner.run('cryptsetup', ['open', '--type', 'luks', '--key-file', '-', '--', device, name], { signal, timeoutMs: KEY_TIMEOUT_MS, input: passphrase, allowedExitCodes: [WRONG_PASSPHRASE] })
  return exitCode === 0
}
