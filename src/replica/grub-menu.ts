/** GRUB's menu, read as GRUB would: which entries boot what, with which command line. Pure. */
import type { DeviceReferences } from './device-references.ts'
import { rewriteCommandLine } from './kernel-command-line.ts'

export interface MenuEntry {
  title: string
  /** path of the kernel as the menu names it, on the file system that `search` found */
  kernel: string
  initrds: readonly string[]
  /** the kernel's command line */
  options: string
  /** value of root= on the kernel's command line; undefined when there is none */
  root: string | undefined
  resume: string | undefined
  /** file systems that `search --fs-uuid` looks for inside the entry, or else the last one before it */
  searched: readonly string[]
}

/** Entries of grub.cfg that start a Linux kernel, in their order, those of submenus too. */
export function menuEntries(text: string): readonly MenuEntry[] {
  const entries: MenuEntry[] = []
  let searchedBefore: string[] = []
  let open: { title: string, searched: string[] } | undefined
  for (const line of statements(text)) {
    const [command = '', ...args] = line.split(/\s+/)
    if (command === 'menuentry') {
      const title = /^menuentry\s+(?:'([^']*)'|"([^"]*)"|(\S+))/.exec(line)?.slice(1).find(Boolean) ?? ''
      open = { title, searched: [] }
    } else if (command === 'search' && (args.includes('--fs-uuid') || args.includes('-u'))) {
      const uuid = (args.findLast(a => !a.startsWith('-')) ?? '').replace(/['"]/g, '')
      if (open === undefined) searchedBefore = [uuid]
      else open.searched.push(uuid)
    } else if (/^linux(?:16|efi)?$/.test(command) && open !== undefined) {
      const parameter = (name: string): string | undefined => args.findLast(a => a.startsWith(`${name}=`))?.slice(name.length + 1)
      entries.push({ title: open.title, kernel: args[0] ?? '', initrds: [], options: args.slice(1).join(' '), root: parameter('root'), resume: parameter('resume'), searched: open.searched.length > 0 ? open.searched : searchedBefore })
    } else if (/^initrd(?:16|efi)?$/.test(command) && open !== undefined) {
      const entry = entries.at(-1)
      if (entry?.title === open.title) entries[entries.length - 1] = { ...entry, initrds: args }
    } else if (command === '}') {
      open = undefined
    }
  }
  return entries
}

/** What starts a kernel (a module where Xen does), also on the line that opens its entry; and what Red Hat's entries use where GRUB's environment has no kernelopts. */
const COMMAND_LINES = [/^((?:\s*menuentry\b.*\{)?\s*(?:linux(?:16|efi)?|module2?)\s+(?:--\S+\s+)*\S+\s+)(.*)$/, /^(\s*set\s+(?:default_)?kernelopts=["'])([^"']*)/] as const

/** The menu with command lines of kernels whose devices resolve; all else stays as it is, so that what was only ever added to the menu is kept. */
export function rewriteMenu(text: string, references: DeviceReferences): { text: string, messages: readonly string[] } {
  const messages: string[] = []
  const lines = text.split('\n').map(line => COMMAND_LINES.reduce((given, pattern) => given.replace(pattern, (found, start: string, options: string) => {
    const fixed = rewriteCommandLine(options, references, 'ours')
    messages.push(...fixed.messages)
    return fixed.messages.length === 0 ? found : `${start}${fixed.text}`
  }), line))
  return { text: lines.join('\n'), messages }
}

/** One per line; what stands behind the brace that opens an entry is a statement of its own. */
function statements(text: string): readonly string[] {
  return text.split('\n').flatMap(line => {
    const opened = /^\s*(menuentry\s.*?\{)\s*(\S.*)$/.exec(line)
    return opened?.[1] === undefined || opened[2] === undefined ? [line.trim()] : [opened[1], opened[2]]
  })
}
