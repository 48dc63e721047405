/** C08, C09: every local device in /etc/fstab resolves on the replica, so that no boot waits ninety seconds for a disk that cannot come. */
import { DeviceReferences, type Reference } from './device-references.ts'
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'

const PATH = '/etc/fstab'
/** Options that describe the old disk array or the old identifiers. */
const STALE_OPTIONS = /^(?:sunit|swidth|logbsize)=/

export const FIX_FSTAB: FixUp = {
  id: 'C09', title: 'name the volumes in fstab so that they are found', required: true,
  fix: async ({ files, plan, workload }: AssembledReplica) => {
    const text = await files.text(PATH)
    if (text === undefined) throw fixUpFailed('the replica has no /etc/fstab')
    const swapFiles = new Set<string>()
    for (const path of localSwapFiles(text)) if (await files.kind(path) === 'file') swapFiles.add(path)
    const { text: fixed, messages } = rewriteFstab(text, new DeviceReferences(plan, workload), swapFiles)
    if (fixed !== text) await files.write(PATH, fixed)
    return messages
  },
}

/**
 * The file with names that resolve; lines of volumes that were not migrated become comments. Pure.
 * @param swapFiles paths of swap files that exist on the replica
 * @throws {AppError} BOOT_FIXUP_FAILED when the root would not be found
 */
export function rewriteFstab(text: string, references: DeviceReferences, swapFiles: ReadonlySet<string>): { text: string, messages: string[] } {
  const messages: string[] = []
  const lines = text.split('\n').map(line => {
    const fields = parse(line)
    if (fields === undefined) return line
    const { source, mountPoint, type, options } = fields
    const bind = options.some(o => o === 'bind' || o === 'rbind')
    if (bind || (!source.startsWith('/dev/') && !/^(?:UUID|LABEL|PARTUUID|PARTLABEL)=/.test(source))) {
      if (type !== 'swap' || bind || swapFiles.has(source)) return line
      messages.push(`swap file ${source} is not there; its line is a comment now`)
      return `# landfall: not migrated: ${line}`
    }
    const reference = type === 'swap' ? swapReference(source, references) : references.look(source, mountPoint)
    if (reference.kind === 'missing') {
      if (mountPoint === '/') throw fixUpFailed(`fstab names ${source} as the root, which the replica does not have`)
      if (options.includes('noauto')) return line
      messages.push(`${source} (${mountPoint}) is not on the replica; its line is a comment now`)
      return `# landfall: not migrated: ${line}`
    }
    let fixed = line
    if (reference.kind === 'renamed') {
      messages.push(`${source} is ${reference.to} now`)
      fixed = fixed.replace(source, reference.to)
    }
    const kept = bySubvolumeName(options.filter(o => !STALE_OPTIONS.test(o)), references.subvolumeAt(mountPoint))
    if (kept.join(',') === options.join(',')) return fixed
    const added = kept.filter(o => !options.includes(o))
    messages.push(`options ${options.filter(o => !kept.includes(o)).join(',')} of ${mountPoint} removed${added.length === 0 ? '' : `, ${added.join(',')} added`}`)
    return fixed.replace(options.join(','), kept.length === 0 ? 'defaults' : kept.join(','))
  })
  return { text: lines.join('\n'), messages }
}

/** Subvolumes have other numbers on the replica, but for the top; they have their names. @param subvolume that is mounted there on the source. Pure. */
export function bySubvolumeName(options: readonly string[], subvolume: string | undefined): readonly string[] {
  const kept = options.filter(o => !/^subvolid=(?!0*[05]$)/.test(o))
  const named = kept.some(o => o.startsWith('subvol=') || o.startsWith('subvolid='))
  return kept.length === options.length || named || subvolume === undefined || subvolume === '' ? kept : [...kept, `subvol=/${subvolume}`]
}

/** Of the one swap space that the replica has no other name can be meant; a name of the old hardware tells no more. */
function swapReference(source: string, references: DeviceReferences): Reference {
  const reference = references.look(source)
  const [only, ...more] = references.swapUuids()
  return reference.kind === 'missing' && /^\/dev\/disk\/by-(?:id|path)\//.test(source) && only !== undefined && more.length === 0 ? { kind: 'renamed', to: `UUID=${only}` } : reference
}

/** The swap files that an fstab names. Pure. */
export function* localSwapFiles(text: string): Generator<string> {
  for (const line of text.split('\n')) {
    const fields = parse(line)
    if (fields?.type === 'swap' && fields.source.startsWith('/') && !fields.source.startsWith('/dev/')) yield fields.source
  }
}

interface Fields { source: string, mountPoint: string, type: string, options: readonly string[] }

function parse(line: string): Fields | undefined {
  if (/^\s*(?:#|$)/.test(line)) return undefined
  const [source, mountPoint, type, options = 'defaults'] = line.trim().split(/\s+/)
  if (source === undefined || mountPoint === undefined || type === undefined) return undefined
  return { source, mountPoint: mountPoint.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))), type, options: options.split(',') }
}
