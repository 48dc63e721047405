/**
 * Every device, UUID, label, logical volume and network adapter that a boot-critical file names, with its line: does it mean something on the replica?
 * Comments and names that are no local device do not count. Pure.
 */
import { legacyEntries } from './grub-legacy.ts'
import type { DeviceReferences } from './device-references.ts'
import { isOldStorage } from './kernel-command-line.ts'

export interface Unresolved {
  line: number
  name: string
  /** the boot stops there, or waits; otherwise something later is not as it was */
  critical: boolean
}

export interface KnownAdapters { names: ReadonlySet<string>, macs: ReadonlySet<string> }
export type Scanner = (text: string, references: DeviceReferences, adapters: KnownAdapters) => readonly Unresolved[]

interface Name { name: string, critical: boolean }

/** Runs `named` on every line that is no comment and keeps what does not resolve. */
function devices(named: (line: string) => readonly Name[]): Scanner {
  return eachLine((line, references) => named(line).filter(({ name }) => !resolves(name, references)))
}

/** Runs `wrong` on every line that is no comment: what of it does not resolve. */
function eachLine(wrong: (line: string, references: DeviceReferences) => readonly Name[]): Scanner {
  return (text, references) => text.split('\n').flatMap((content, i) => /^\s*[#;]/.test(content) ? [] : wrong(content, references).map(found => ({ line: i + 1, ...found })))
}

function resolves(name: string, references: DeviceReferences): boolean {
  const { kind } = references.look(name)
  return kind === 'resolves' || kind === 'foreign'
}

export const scanFstab: Scanner = devices(line => {
  const [name = '', mountPoint = '', , options = ''] = line.trim().split(/\s+/)
  const optional = options.split(',').some(o => o === 'noauto' || o === 'nofail')
  return /^\/dev\/(?:sr\d+|cdrom|dvd|fd\d+)$/.test(name) || mountPoint === '' || options.split(',').includes('bind') ? [] : [{ name, critical: !optional }]
})

/** Second word: what lies encrypted. A swap with a new key at each boot may be a partition by any name, but one that is there. */
export const scanCrypttab: Scanner = (text, references) => text.split('\n').flatMap((content, i) => {
  const [target = '', name = '', key = '', options = ''] = content.trim().split(/\s+/)
  if (target === '' || target.startsWith('#')) return []
  const uuid = /^(?:UUID=|\/dev\/disk\/by-uuid\/)"?([0-9A-Fa-f-]{36})"?$/.exec(name)?.[1]
  const fine = uuid === undefined ? resolves(name, references) : references.hasLuks(uuid)
  if (fine && references.openedAs(target) !== undefined && key !== 'none' && key !== '-') return [{ line: i + 1, name: key, critical: true }] // opens the source's only
  return fine ? [] : [{ line: i + 1, name, critical: !options.split(',').some(o => o === 'noauto' || o === 'nofail') }]
})

/** Parameters of a kernel that name storage which the replica does not have. */
function onCommandLine(words: readonly string[], references: DeviceReferences): readonly Name[] {
  return words.flatMap(word => {
    const [, key = '', value = ''] = /^(root|resume|boot)=["']?([^"']+?)["']?$/.exec(word) ?? []
    if (key === '') return isOldStorage(word, references) ? [{ name: word, critical: true }] : []
    return /[$`]/.test(value) || resolves(value, references) ? [] : [{ name: value, critical: key !== 'resume' }]
  })
}

/** Settings and entries that hold kernel command lines. */
export const scanCommandLines: Scanner = eachLine((line, references) => {
  const value = /^\s*(?:export\s+)?(?:GRUB_CMDLINE_\w+|DEFAULT_APPEND|FAILSAFE_APPEND|XEN_KERNEL_APPEND|kernelopts)=["']?(.*?)["']?\s*$/.exec(line)?.[1] ?? /^\s*options\s+(.*)$/.exec(line)?.[1]
  return value === undefined ? [] : onCommandLine(value.split(/\s+/), references)
})

/** All of the file is one. */
export const scanCommandLine: Scanner = eachLine((line, references) => onCommandLine(line.trim().split(/\s+/), references))

/** GRUB 2: kernels, and the file systems that are looked for. What only entries behind the first one name, perhaps of other systems, does not stop the boot. */
export const scanGrubMenu: Scanner = (text, references, adapters) => {
  const [, second = Infinity] = text.split('\n').flatMap((line, i) => /^\s*menuentry\s/.test(line) ? [i + 1] : [])
  return onGrubMenu(text, references, adapters).map(found => ({ ...found, critical: found.critical && found.line < second }))
}

const onGrubMenu: Scanner = eachLine((line, references) => {
  const words = line.trim().split(/\s+/).map(w => w.replace(/["']/g, ''))
  const options = /^\s*set\s+(?:default_)?kernelopts=["']([^"']*)/.exec(line)?.[1]
  if (options !== undefined) return onCommandLine(options.split(/\s+/), references)
  if (/^linux(?:16|efi)?$/.test(words[0] ?? '')) return onCommandLine(words.slice(1), references)
  const uuid = words[0]?.startsWith('search') === true && words.some(w => w === '--fs-uuid' || w === '-u' || w === 'search.fs_uuid') ? words.find(w => /^(?:[0-9A-Fa-f]{8}-[0-9A-Fa-f-]{27}|[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4})$/.test(w)) : undefined
  return uuid === undefined || resolves(`UUID=${uuid}`, references) ? [] : [{ name: `UUID=${uuid}`, critical: true }]
})

/** GRUB legacy: the same of the entry that is the default; disks but the first are elsewhere. */
export const scanLegacyMenu: Scanner = (text, references, adapters) => {
  const { entries, chosen } = legacyEntries(text)
  if (entries.length === 0) return []
  const titles = text.split('\n').flatMap((line, i) => /^\s*title\b/.test(line) ? [i + 1] : [])
  const isChosen = (line: number): boolean => line >= (titles[chosen] ?? 0) && line < (titles[chosen + 1] ?? Infinity)
  const onKernels = eachLine(line => /^\s*kernel\s/.test(line) ? onCommandLine(line.trim().split(/\s+/).slice(1), references) : [])(text, references, adapters)
  const elsewhere = text.split('\n').flatMap((line, i) => /^\s*(?:root|kernel|initrd)\b.*\(hd[1-9]/.test(line) ? [{ line: i + 1, name: /\(hd\d+,\d+\)/.exec(line)?.[0] ?? '(hd1)', critical: true }] : [])
  return [...onKernels, ...elsewhere].map(found => ({ ...found, critical: found.critical && isChosen(found.line) }))
}

/** "(hd0) /dev/sda": what the first disk is called is known, and a link that udev makes for a virtual disk. */
export const scanDeviceMap: Scanner = devices(line => {
  const name = /^\s*\(hd\d+\)\s+(\S+)/.exec(line)?.[1]
  return name === undefined || name === '/dev/sda' || name.startsWith('/dev/disk/by-id/wwn-0x6000c29') ? [] : [{ name, critical: false }]
})

export const scanArrays: Scanner = (text) => text.split('\n').flatMap((line, i) => {
  const name = /^\s*ARRAY\s+(\S+)/i.exec(line)?.[1]
  return name === undefined ? [] : [{ line: i + 1, name, critical: false }]
})

/** Devices in filters of LVM, and its list of devices. */
export const scanLvm: Scanner = devices(line => {
  const listed = /\bDEVNAME=(\S+)/.exec(line)?.[1]
  if (listed !== undefined) return [{ name: listed, critical: true }]
  if (!/^\s*(?:global_)?filter\s*=/.test(line)) return []
  return [...line.matchAll(/"a[|/!]\^?(\/dev\/[A-Za-z0-9_/:.+-]+)/g)].map(m => ({ name: m[1] ?? '', critical: true })).filter(({ name }) => !/^\/dev\/(?:sd|disk\/?$)?$/.test(name))
})

/** Names in bindings are those of maps that there will not be. */
export const scanMultipath: Scanner = text => text.split('\n').flatMap((line, i) => {
  const name = /^\s*(mpath\w+)\s/.exec(line)?.[1]
  return name === undefined ? [] : [{ line: i + 1, name, critical: false }]
})

export const scanResume: Scanner = devices(line => {
  const name = /^\s*RESUME=["']?([^"'\s]+)/.exec(line)?.[1] ?? /^\s*add_device\+?=["'\s]*([^"'\s]+)/.exec(line)?.[1]
  return name === undefined || name === 'none' || name === 'auto' ? [] : [{ name, critical: false }]
})

/** MAC addresses that select an adapter, in the words of every stack, and of a udev rule. */
export const scanMacs: Scanner = (text, _references, { macs }) => text.split('\n').flatMap((line, i) => {
  if (/^\s*[#;]/.test(line)) return []
  const mac = /^\s*(?:HWADDR|MACAddress|PermanentMACAddress|mac-address|macaddress|hwaddress(?:\s+ether)?)\s*[=:\s]\s*["']?((?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})/.exec(line)?.[1]
    ?? /ATTRS?\{address\}=="((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})"/.exec(line)?.[1]
  return mac === undefined || macs.has(mac.toLowerCase().replaceAll('-', ':')) ? [] : [{ line: i + 1, name: mac, critical: false }]
})

/** Adapters that interfaces(5) starts: each must be there, or be made of others that it names. */
export const scanAutoInterfaces: Scanner = (text, _references, { names }) => {
  const made = new Set([...text.matchAll(/^\s*iface\s+(\S+)/gm)].map(m => m[1] ?? '').filter(name => /[.:]|^(?:lo|bond|br|vlan|dummy|team|wg|tun|tap)/.test(name)))
  return text.split('\n').flatMap((line, i) => {
    const [keyword = '', ...started] = line.trim().split(/\s+/)
    if (keyword !== 'auto' && keyword !== 'allow-hotplug') return []
    return started.filter(name => name !== 'lo' && !names.has(name) && !made.has(name)).map(name => ({ line: i + 1, name, critical: false }))
  })
}
