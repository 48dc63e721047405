/** A kernel's command line, and the files of settings that hold one. Pure. */
import type { DeviceReferences } from './device-references.ts'
import { bySubvolumeName } from './fix-fstab.ts'

const ASSIGNMENT = /^(\s*(?:export\s+)?(?:GRUB_CMDLINE_(?:LINUX|XEN)(?:_[A-Z_]+)?|DEFAULT_APPEND|FAILSAFE_APPEND|XEN_KERNEL_APPEND)\s*=\s*)(["']?)(.*?)\2(\s*(?:#.*)?)$/

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

/** Parameters of storage that the replica does not have: the arrays are plain disks, there is one path to each, none comes over the network. */
const OLD_STORAGE = /^(?:rd[._](?:md[._]uuid|MD_UUID)=|rd\.multipath|rd_MULTIPATH|netroot=|rd\.iscsi|iscsi_|rd\.fcoe|fcoe=|rd\.nvmf|root=multipath|mpath)/i
const LUKS = /^(?:rd\.luks\.(?:uuid|name|options|key)|rd_LUKS_UUID|luks\.(?:uuid|name))=(?:luks-)?([0-9a-f-]{36})/i
/** What unlocked the source's containers opens none of the replica's. */
const OLD_KEY = /^(?:(?:rd\.)?luks\.key|rd_LUKS_KEYPATH|rd\.luks\.keypath)=|^(?:rd\.)?luks\.options=.*(?:tpm2|fido2|pkcs11)-/
const LOGICAL_VOLUME = /^(?:rd\.lvm\.lv|rd_LVM_LV)=([^/\s]+)\/([^/\s]+)$/

/** It wins over what fix-cloud-init.ts writes. */
const CLOUD_INIT = 'cloud-init=enabled'

/** Whether a word of a kernel command line names storage that the replica does not have, or what opened the source's: dracut waits for it, in vain. Pure. */
export function isOldStorage(word: string, references: DeviceReferences): boolean {
  const luks = LUKS.exec(word)?.[1]
  const [, group, volume] = LOGICAL_VOLUME.exec(word) ?? []
  return OLD_STORAGE.test(word) || OLD_KEY.test(word) || (luks !== undefined && !references.hasLuks(luks)) || (group !== undefined && volume !== undefined && !references.hasMapped(`/dev/${group}/${volume}`))
}

/**
 * A kernel command line whose devices resolve; what cannot is left out. Pure.
 * @param missingRoot what becomes of a root= that the replica does not have: removed where a tool adds it, else the replica's own
 */
export function rewriteCommandLine(commandLine: string, references: DeviceReferences, missingRoot: 'remove' | 'ours' = 'remove'): { text: string, messages: string[] } {
  const messages: string[] = []
  const words = commandLine.split(/(\s+)/).flatMap(word => {
    const [, key = '', name = ''] = /^(root|resume|boot|real_root)=(.+)$/.exec(word) ?? []
    if (key !== '') {
      const to = deviceFor(key, name, references, missingRoot)
      if (to === name) return [word]
      messages.push(to === undefined ? `${word} removed: the replica has no such device` : `${word} is ${key}=${to} now`)
      return to === undefined ? [] : [`${key}=${to}`]
    }
    if (isOldStorage(word, references)) {
      messages.push(`${word} removed: the replica has no such storage`)
      return []
    }
    if (word === CLOUD_INIT) {
      messages.push(`${word} removed: cloud-init would set the replica up as a new machine`)
      return []
    }
    if (/^rootflags=.*\bsubvolid=/.test(word)) {
      const given = word.slice('rootflags='.length).split(',')
      const flags = bySubvolumeName(given, references.subvolumeAt('/'))
      if (flags.join(',') === given.join(',')) return [word]
      messages.push(`${word} is ${flags.length === 0 ? 'gone' : `rootflags=${flags.join(',')}`}: subvolumes have other numbers`)
      return flags.length === 0 ? [] : [`rootflags=${flags.join(',')}`]
    }
    return [word]
  })
  return { text: messages.length === 0 ? commandLine : words.join('').replace(/\s+/g, ' ').trim(), messages }
}

/** What the parameter names on the replica; undefined when nothing does. */
function deviceFor(key: string, name: string, references: DeviceReferences, missingRoot: 'remove' | 'ours'): string | undefined {
  const isRoot = key === 'root' || key === 'real_root'
  const reference = references.look(name, isRoot && /^\/dev\/(?:disk\/by-(?:id|path)\/|mapper\/mpath)/.test(name) ? '/' : undefined)
  switch (reference.kind) {
    case 'resolves': case 'foreign': return name
    case 'renamed': return isRoot && references.root()?.startsWith('/dev/') === true ? references.root() : reference.to
    case 'missing': {
      if (isRoot) return missingRoot === 'ours' ? references.root() : undefined
      const [swap, ...more] = references.swapUuids()
      return key === 'resume' && name.startsWith('/dev/disk/by-') && !name.startsWith('/dev/disk/by-uuid/') && swap !== undefined && more.length === 0 ? `UUID=${swap}` : undefined
    }
  }
}
