/** The menu of GRUB legacy (menu.lst, grub.conf). Pure. */
import type { DeviceReferences } from './device-references.ts'
import { rewriteCommandLine } from './kernel-command-line.ts'

export interface LegacyEntry { title: string, kernel: string, initrds: readonly string[], options: string, root: string | undefined, resume: string | undefined }

/** Entries that start Linux, with the number by which `default` counts; Xen's kernel is a module of it. */
export function legacyEntries(text: string): { entries: readonly (LegacyEntry & { number: number })[], chosen: number } {
  const entries: (LegacyEntry & { number: number })[] = []
  let title = ''
  let number = -1
  let chosen = 0
  for (const line of text.split('\n')) {
    const [keyword = '', ...words] = line.trim().replace(/^(\w+)\s*=\s*/, '$1 ').split(/\s+/)
    if (keyword === 'default' && number < 0) chosen = Number(words[0]) || 0
    if (keyword === 'title') {
      title = words.join(' ')
      number++
    } else if (keyword === 'kernel' && number >= 0) {
      const parameter = (name: string): string | undefined => words.findLast(w => w.startsWith(`${name}=`))?.slice(name.length + 1)
      entries.push({ title, number, kernel: withoutDevice(words[0] ?? ''), initrds: [], options: words.slice(1).join(' '), root: parameter('root'), resume: parameter('resume') })
    } else if (keyword === 'initrd' && entries.at(-1)?.number === number) {
      const entry = entries.at(-1)
      if (entry !== undefined) entries[entries.length - 1] = { ...entry, initrds: words.map(withoutDevice) }
    }
  }
  return { entries, chosen }
}

/** Kernels get devices that resolve; every disk is the first one, because the firmware starts from it; a saved default stays. */
export function rewriteLegacyMenu(text: string, references: DeviceReferences): { text: string, messages: readonly string[] } {
  const messages: string[] = []
  const lines = text.split('\n').map(line => {
    if (/^\s*(?!#)/.test(line) && /\(hd[1-9]\d*,\d+\)/.test(line) && !/^\s*#/.test(line)) {
      messages.push(`${line.trim()}: the system is on the first disk now`)
      line = line.replace(/\(hd[1-9]\d*,(\d+)\)/g, '(hd0,$1)')
    }
    // "# kopt=" is what update-grub makes Debian's entries from
    const [, start = '', options] = /^(\s*(?:kernel|module)\s+(?:--\S+\s+)*\S+\s+|# kopt=)(.*)$/.exec(line) ?? []
    if (options === undefined) return line
    const fixed = rewriteCommandLine(options, references, 'ours')
    messages.push(...fixed.messages)
    return fixed.messages.length === 0 ? line : `${start}${fixed.text}`
  })
  return { text: lines.join('\n'), messages }
}

function withoutDevice(path: string): string {
  return path.replace(/^\(hd\d+,\d+\)/, '')
}
