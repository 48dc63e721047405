/** C14: what GRUB's configuration is made from names only devices that the replica has. Done before the menu is made anew. */
import { DeviceReferences } from './device-references.ts'
import type { AssembledReplica, FixUp } from './fix-up.ts'

const ASSIGNMENT = /^(\s*(?:export\s+)?GRUB_CMDLINE_LINUX(?:_[A-Z_]+)?\s*=\s*)(["']?)(.*?)\2(\s*(?:#.*)?)$/

export const FIX_KERNEL_COMMAND_LINE: FixUp = {
  id: 'C14', title: 'name devices on the kernel command line so that they are found', required: true,
  fix: async ({ files, plan, workload }: AssembledReplica) => {
    const references = new DeviceReferences(plan, workload)
    const paths = ['/etc/default/grub', ...(await files.names('/etc/default/grub.d')).filter(n => n.endsWith('.cfg')).map(n => `/etc/default/grub.d/${n}`)]
    const messages: string[] = []
    for (const path of paths) {
      const text = await files.text(path)
      if (text === undefined) continue
      const fixed = rewriteGrubDefaults(text, references)
      if (fixed.text !== text) await files.write(path, fixed.text)
      messages.push(...fixed.messages.map(m => `${path}: ${m}`))
    }
    return messages
  },
}

/** /etc/default/grub with root= and resume= that resolve, and with UUIDs allowed. Pure. */
export function rewriteGrubDefaults(text: string, references: DeviceReferences): { text: string, messages: string[] } {
  const messages: string[] = []
  const lines = text.split('\n').map(line => {
    if (/^\s*GRUB_DISABLE_LINUX_UUID\s*=\s*["']?true/.test(line)) {
      messages.push('root= is given as UUID now, not as the name of the old disk')
      return `# landfall: the replica's disks have other names: ${line}`
    }
    const match = ASSIGNMENT.exec(line)
    if (match === null) return line
    const [, start = '', quote = '', value = '', end = ''] = match
    const fixed = rewriteCommandLine(value, references)
    messages.push(...fixed.messages)
    return fixed.text === value ? line : `${start}${quote}${fixed.text}${quote}${end}`
  })
  return { text: lines.join('\n'), messages }
}

/** A kernel command line whose root= and resume= resolve; one that cannot is left out (GRUB adds the root by itself). Pure. */
export function rewriteCommandLine(commandLine: string, references: DeviceReferences): { text: string, messages: string[] } {
  const messages: string[] = []
  const words = commandLine.split(/(\s+)/).flatMap(word => {
    const match = /^(root|resume)=(.+)$/.exec(word)
    if (match?.[1] === undefined || match[2] === undefined) return [word]
    const reference = references.look(match[2])
    if (reference.kind === 'resolves' || reference.kind === 'foreign') return [word]
    if (reference.kind === 'missing') {
      messages.push(`${word} removed: the replica has no such device`)
      return []
    }
    messages.push(`${word} is ${match[1]}=${reference.to} now`)
    return [`${match[1]}=${reference.to}`]
  })
  return { text: messages.length === 0 ? commandLine : words.join('').replace(/\s+/g, ' ').trim(), messages }
}
