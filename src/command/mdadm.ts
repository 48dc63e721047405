/** Software RAID: `mdadm --detail --export`. Reads only. */
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

export interface ArrayDetail {
  /** raid1 ...; container for the outer part of a BIOS RAID */
  level: string
  metadata: string
  uuid: string
  /** paths of the nodes of its members */
  members: string[]
}

const TIMEOUT_MS = 30_000

/** @throws {AppError} TOOL_OUTPUT when it names no level; what Runner throws */
export async function readArray(runner: Runner, device: string, signal: AbortSignal): Promise<ArrayDetail> {
  const { stdout } = await runner.run('mdadm', ['--detail', '--export', device], { signal, timeoutMs: TIMEOUT_MS })
  const values = new Map(stdout.split('\n').flatMap(line => { const at = line.indexOf('='); return at > 0 ? [[line.slice(0, at), line.slice(at + 1).trim()] as const] : [] }))
  const level = values.get('MD_LEVEL')
  if (level === undefined) throw new AppError('TOOL_OUTPUT', `mdadm names no level for ${device}`)
  return {
    level, metadata: values.get('MD_METADATA') ?? '0.90', uuid: values.get('MD_UUID') ?? '',
    members: [...values].flatMap(([key, value]) => (/^MD_DEVICE_.*_DEV$/.test(key) ? [value] : [])).sort(),
  }
}
