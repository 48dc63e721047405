/** MAC addresses that an interface is told to use instead of its adapter's, in the words of ifcfg (Red Hat, SUSE) and keyfiles. The scan of references finds those of the other stacks. Pure. */

const CLONED = /^\s*(?:cloned-mac-address|MACADDR|LLADDR)\s*=\s*["']?([^"'\s#]+)/

/** Without those that are an adapter's own: what was meant for the old adapter is the new one's by itself. @param own of the replica's adapters, lower case */
export function withoutOwnClones(text: string, own: ReadonlySet<string>): string {
  return text.split('\n').filter(line => !own.has(clonedOn(line) ?? '')).join('\n')
}

/** The first that is no adapter's own, as the file says it (an address, or that one is made up); undefined where there is none. */
export function foreignClone(text: string, own: ReadonlySet<string>): string | undefined {
  return text.split('\n').map(clonedOn).find(mac => mac !== undefined && mac !== 'permanent' && mac !== 'preserve' && !own.has(mac))
}

function clonedOn(line: string): string | undefined {
  return CLONED.exec(line)?.[1]?.toLowerCase().replace(/^(?:[0-9a-f]{2}-){5}[0-9a-f]{2}$/, mac => mac.replaceAll('-', ':'))
}
