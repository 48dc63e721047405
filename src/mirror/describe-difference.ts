/** Two entries of one name as the list of what differs. Pure; the data of files and the links between names are judged elsewhere. */
import type { FileMetadata } from '../domain/file-operation.ts'
import { display } from '../domain/rel-path.ts'
import type { Aspect, AspectKind } from '../domain/verification.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'

type Core = Omit<FileMetadata, 'atimeNs'>

/** Longest value of an attribute that is shown. */
const MAX_SHOWN_BYTES = 256

/** What differs in the attributes of the two; none when they are equal. */
export function describeDifference(source: ListingEntry, replica: ListingEntry): Aspect[] {
  if (source.type !== replica.type) return [{ what: 'type', source: source.type, replica: replica.type }]
  if (source.sameRecord(replica)) return []
  const aspects: Aspect[] = []
  const note = (what: AspectKind, of: string, on: string): void => { if (of !== on) aspects.push({ what, source: of, replica: on }) }
  note('size', String(source.sizeBytes), String(replica.sizeBytes))
  note('device', `${String(source.deviceMajor)}:${String(source.deviceMinor)}`, `${String(replica.deviceMajor)}:${String(replica.deviceMinor)}`)
  if (!source.symlinkTarget.equals(replica.symlinkTarget)) aspects.push({ what: 'target', source: shown(source.symlinkTarget), replica: shown(replica.symlinkTarget) })
  const [a, b] = [source.core, replica.core]
  note('mtime', seconds(a.mtimeNs), seconds(b.mtimeNs))
  note('owner', `${String(a.uid)}:${String(a.gid)}`, `${String(b.uid)}:${String(b.gid)}`)
  note('mode', octal(a.mode), octal(b.mode))
  note('flags', hex(a.flags), hex(b.flags))
  note('project', String(a.projectId), String(b.projectId))
  return [...aspects, ...attributes(a, b)]
}

function attributes(source: Core, replica: Core): Aspect[] {
  const aspects: Aspect[] = []
  const names = new Map<string, { name: Buffer, source?: Buffer, replica?: Buffer }>()
  for (const { name, value } of source.xattrs) names.set(name.toString('latin1'), { name, source: value })
  for (const { name, value } of replica.xattrs) names.set(name.toString('latin1'), { ...names.get(name.toString('latin1')), name, replica: value })
  for (const { name, source: of, replica: on } of names.values()) {
    if (of !== undefined && on?.equals(of) === true) continue
    aspects.push({
      what: name.toString('latin1').startsWith('system.posix_acl_') ? 'acl' : 'xattr', name: display(name),
      ...(of === undefined ? {} : { source: shown(of) }), ...(on === undefined ? {} : { replica: shown(on) }),
    })
  }
  return aspects
}

function shown(value: Buffer): string {
  return value.length <= MAX_SHOWN_BYTES ? display(value) : `${display(value.subarray(0, MAX_SHOWN_BYTES))}… (${String(value.length)} bytes)`
}

function octal(mode: number): string { return mode.toString(8).padStart(4, '0') }
function hex(flags: number): string { return `0x${flags.toString(16)}` }

/** Seconds since the epoch with nine decimals. */
function seconds(ns: bigint): string {
  const whole = ns >= 0n || ns % 1_000_000_000n === 0n ? ns / 1_000_000_000n : ns / 1_000_000_000n - 1n
  return `${String(whole)}.${String(ns - whole * 1_000_000_000n).padStart(9, '0')}`
}
