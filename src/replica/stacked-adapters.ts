/** VLANs as the configuration of each network stack says them: their names, and what they lie on. Pure. */
import { parseDocument } from 'yaml'
import { parseSections, valuesOf } from './ini-sections.ts'
import { settingOf } from './shell-settings.ts'

export interface Vlan { name: string, on: string }

/** ifcfg files of Red Hat and SUSE. @param file the name of the file behind "ifcfg-" */
export function vlanInIfcfg(text: string, file: string): Vlan[] {
  const name = settingOf(text, 'DEVICE') ?? file
  const told = settingOf(text, 'PHYSDEV') ?? settingOf(text, 'ETHERDEVICE')
  const isVlan = /^(?:yes|true|1)$/i.test(settingOf(text, 'VLAN') ?? '') || settingOf(text, 'TYPE')?.toLowerCase() === 'vlan' || settingOf(text, 'ETHERDEVICE') !== undefined
  const on = told ?? /^(.+)\.\d+$/.exec(name)?.[1]
  return isVlan && on !== undefined && on !== '' ? [{ name, on }] : []
}

/** NetworkManager's keyfiles; a parent may be given by the UUID of its profile. */
export function vlanInKeyfile(text: string): Vlan[] {
  const sections = parseSections(text)
  const [on] = valuesOf(sections, 'vlan', 'parent')
  const [name] = [...valuesOf(sections, 'connection', 'interface-name'), ...valuesOf(sections, 'connection', 'id')]
  return on === undefined || name === undefined ? [] : [{ name, on }]
}

/** *.network files of systemd-networkd, which name the VLANs that lie on their interface. */
export function vlansInNetwork(text: string): Vlan[] {
  const sections = parseSections(text)
  const [on = ''] = valuesOf(sections, 'Match', 'Name')
  return valuesOf(sections, 'Network', 'VLAN').flatMap(v => v.split(/\s+/)).filter(name => name !== '').map(name => ({ name, on }))
}

export function vlansInInterfaces(text: string): Vlan[] {
  const found: Vlan[] = []
  let name = ''
  for (const line of text.split('\n')) {
    const [keyword = '', first = ''] = line.trim().split(/\s+/)
    if (keyword === 'iface') {
      name = first
      const on = /^(.+)\.\d+$/.exec(name)?.[1]
      if (on !== undefined && !found.some(v => v.name === name)) found.push({ name, on })
    } else if (/^vlan[-_]raw[-_]device$/.test(keyword) && first !== '') {
      const known = found.find(v => v.name === name)
      if (known === undefined) found.push({ name, on: first })
      else known.on = first
    }
  }
  return found
}

/** netplan; what is no YAML is told by who edits it. */
export function vlansInNetplan(text: string): Vlan[] {
  const doc: unknown = parseDocument(text).toJS()
  const vlans = at(at(doc, 'network'), 'vlans')
  if (typeof vlans !== 'object' || vlans === null) return []
  return Object.entries(vlans).flatMap(([name, value]) => { const on = at(value, 'link'); return typeof on === 'string' ? [{ name, on }] : [] })
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>)[key] : undefined
}
