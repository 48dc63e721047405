/** The geometry of a mounted XFS: `xfs_info`. */
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

export interface XfsGeometry {
  blockSizeBytes: number
  inodeSizeBytes: number
  /** key=value, as `domain/volume.ts` lists them for xfs; a key that this version of the tool does not print is left out, one that is not listed is there when it is 1 */
  features: string[]
  /** keys as `domain/volume.ts` lists them for xfs */
  properties: Record<string, string>
}

const TIMEOUT_MS = 60_000

/** In the order in which they are recorded; where the tool prints the key. */
const FEATURES = [
  ['crc', 'meta-data'], ['finobt', 'meta-data'], ['sparse', 'meta-data'], ['rmapbt', 'meta-data'], ['reflink', 'meta-data'], ['bigtime', 'meta-data'],
  ['inobtcount', 'meta-data'], ['nrext64', 'meta-data'], ['attr', 'meta-data'], ['projid32bit', 'meta-data'], ['ftype', 'naming'],
  ['ascii-ci', 'naming'], ['lazy-count', 'log'],
] as const

/** Those that mkfs.xfs of the appliance can switch on or off, or that it always has. */
export const XFS_FEATURES: ReadonlySet<string> = new Set(FEATURES.map(([key]) => key))

/** key of the record, section, key of the tool */
const PROPERTIES = [
  ['agcount', 'meta-data', 'agcount'], ['agsize', 'meta-data', 'agsize'], ['sectsz', 'meta-data', 'sectsz'], ['blocks', 'data', 'blocks'],
  ['imaxpct', 'data', 'imaxpct'], ['sunit', 'data', 'sunit'], ['swidth', 'data', 'swidth'], ['naming-version', 'naming', 'version'],
  ['naming-bsize', 'naming', 'bsize'], ['log-blocks', 'log', 'blocks'], ['log-version', 'log', 'version'], ['log-sectsz', 'log', 'sectsz'],
  ['rtextents', 'realtime', 'rtextents'],
] as const

/** Where features are printed: an unknown key that is 1 there is one that came after this list. Those of the realtime section need such a section. */
const FEATURE_SECTIONS = ['meta-data', 'data', 'naming', 'log'] as const
const NO_FEATURES: ReadonlySet<string> = new Set([...XFS_FEATURES, ...PROPERTIES.map(([, , name]) => name), 'isize', 'bsize'])

/**
 * Reads the geometry of the XFS mounted at `mountPoint`.
 * @throws {AppError} TOOL_OUTPUT when needed values are missing; what Runner throws
 */
export async function readXfsGeometry(runner: Runner, mountPoint: string, signal: AbortSignal): Promise<XfsGeometry> {
  const { stdout } = await runner.run('xfs_info', [mountPoint], { signal, timeoutMs: TIMEOUT_MS })
  const sections = new Map<string, string>()
  let section = ''
  for (const line of stdout.split('\n')) {
    const match = /^([a-z-]*)\s*=(.*)$/.exec(line)
    if (match?.[2] === undefined) continue
    if (match[1] !== undefined && match[1] !== '') section = match[1]
    sections.set(section, `${sections.get(section) ?? ''} ${match[2]}`)
  }
  const value = (where: string, key: string): string | undefined =>
    new RegExp(`(?:^|[\\s,])${key}\\s*[= ]\\s*(\\d+)`).exec(sections.get(where) ?? '')?.[1]
  const need = (where: string, key: string): number => {
    const found = value(where, key)
    if (found === undefined || !Number.isSafeInteger(Number(found))) throw new AppError('TOOL_OUTPUT', `xfs_info names no ${key} for ${mountPoint}`)
    return Number(found)
  }
  const properties: Record<string, string> = {}
  for (const [key, where, name] of PROPERTIES) {
    const found = value(where, name)
    if (found !== undefined) properties[key] = found
  }
  properties['log'] = /^\s*internal/.test(sections.get('log') ?? '') ? 'internal' : 'external'
  return {
    blockSizeBytes: need('data', 'bsize'), inodeSizeBytes: need('meta-data', 'isize'),
    features: [...FEATURES.flatMap(([key, where]) => { const found = value(where, key); return found === undefined ? [] : [`${key}=${found}`] }), ...laterFeatures(sections)],
    properties,
  }
}

function laterFeatures(sections: ReadonlyMap<string, string>): string[] {
  const keys = FEATURE_SECTIONS.flatMap(where => Array.from((sections.get(where) ?? '').matchAll(/(?:^|[\s,])([a-z][\w-]*)\s*=\s*1(?=[\s,]|$)/g), match => match[1] ?? ''))
  return [...new Set(keys)].filter(key => !NO_FEATURES.has(key)).map(key => `${key}=1`)
}
