/** Entries of the Boot Loader Specification (/boot/loader/entries/*.conf) and GRUB's environment block, from which Red Hat's GRUB makes its menu. Pure. */
import type { DeviceReferences } from './device-references.ts'
import { rewriteCommandLine } from './kernel-command-line.ts'

export interface BlsEntry {
  title: string, version: string
  /** as the entry names them, on the file system that holds /boot */
  kernel: string
  initrds: readonly string[]
  /** with $kernelopts replaced */
  options: string
}

/** GRUB's environment block has this size, filled up with "#". */
const ENVIRONMENT_BYTES = 1024

/** undefined when it starts no Linux. @param environment variables of the block: $kernelopts and others stand in entries of Red Hat 8 */
export function parseBlsEntry(text: string, environment: ReadonlyMap<string, string>): BlsEntry | undefined {
  const value = (key: string): string => text.split('\n').map(line => line.trim()).filter(line => line.startsWith(`${key} `) || line.startsWith(`${key}\t`)).map(line => line.slice(key.length).trim()).join(' ')
  const kernel = value('linux')
  if (kernel === '') return undefined
  const expanded = (words: string): string => words.replace(/\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?/g, (_, name: string) => environment.get(name) ?? '')
  return { title: value('title'), version: value('version'), kernel, initrds: expanded(value('initrd')).split(/\s+/).filter(Boolean), options: expanded(value('options')) }
}

/** name=value lines of the block; comments and padding do not count. */
export function parseEnvironment(text: string): ReadonlyMap<string, string> {
  return new Map(text.split('\n').flatMap(line => {
    const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? []
    return name === undefined || value === undefined ? [] : [[name, value] as const]
  }))
}

export function rewriteBlsEntry(text: string, references: DeviceReferences): { text: string, messages: readonly string[] } {
  const messages: string[] = []
  const lines = text.split('\n').map(line => {
    const [, start = '', options] = /^(\s*options\s+)(.*)$/.exec(line) ?? []
    if (options === undefined) return line
    const fixed = rewriteCommandLine(options, references, 'ours')
    messages.push(...fixed.messages)
    return fixed.messages.length === 0 ? line : `${start}${fixed.text}`
  })
  return { text: lines.join('\n'), messages }
}

/** The block with its kernelopts rewritten, of the same size; one that would not fit stays as it is, which the check of the menu then sees. */
export function rewriteEnvironment(text: string, references: DeviceReferences): { text: string, messages: readonly string[] } {
  const options = parseEnvironment(text).get('kernelopts')
  if (options === undefined) return { text, messages: [] }
  const fixed = rewriteCommandLine(options, references, 'ours')
  if (fixed.messages.length === 0) return { text, messages: [] }
  const body = text.replace(/^kernelopts=.*$/m, `kernelopts=${fixed.text}`).replace(/#*$/, '')
  const size = Math.max(ENVIRONMENT_BYTES, text.length)
  return body.length > size ? { text, messages: [] } : { text: body.padEnd(size, '#'), messages: fixed.messages }
}
