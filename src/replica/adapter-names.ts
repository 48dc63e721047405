/** Interfaces as the configuration of each network stack names them: what it expects to be there, and what it makes itself. Pure. */
import { parseDocument } from 'yaml'
import { parseSections, valuesOf } from './ini-sections.ts'
import { settingOf } from './shell-settings.ts'

export interface NamedInterfaces { expected: readonly string[], made: readonly string[] }

const NOTHING: NamedInterfaces = { expected: [], made: [] }
const MADE_TYPES = /bond|bridge|vlan|team|ovs|ipip|gre|sit|tun|tap|dummy|wireguard/i
const PATTERN = /[*?[\]!|]/

/** ifcfg files of Red Hat and SUSE; one that nothing starts expects nothing. @param file the name of the file behind "ifcfg-" */
export function namesInIfcfg(text: string, file: string): NamedInterfaces {
  const setting = (key: string): string => settingOf(text, key) ?? ''
  const device = setting('DEVICE') === '' ? file : setting('DEVICE')
  const isMade = MADE_TYPES.test(setting('TYPE')) || MADE_TYPES.test(setting('DEVICETYPE')) || setting('TUNNEL') !== '' || ['VLAN', 'BONDING_MASTER', 'BRIDGE'].some(key => /^yes$/i.test(setting(key))) || setting('ETHERDEVICE') !== '' || setting('BONDING_OPTS') !== ''
  if (/^no$/i.test(setting('ONBOOT')) || /^(?:off|manual|hotplug|ifplugd)$/i.test(setting('STARTMODE'))) return { expected: [], made: isMade ? [device] : [] }
  const members = [...text.matchAll(/^\s*(?:BONDING_SLAVE_?\d+|BRIDGE_PORTS|TEAM_PORT_DEVICE_\d+|ETHERDEVICE|PHYSDEV)=["']?([^"'\n]*)/gm)].flatMap(m => wordsOf(m[1] ?? ''))
  // a file of NetworkManager may be found by its MAC address, and is called as its profile then
  return isMade ? { expected: members, made: [device] } : { expected: [...setting('DEVICE') === '' ? [] : [device], ...members], made: [] }
}

export function namesInKeyfile(text: string): NamedInterfaces {
  const sections = parseSections(text)
  const [name = ''] = valuesOf(sections, 'connection', 'interface-name')
  const [type = 'ethernet'] = valuesOf(sections, 'connection', 'type')
  if (name === '') return NOTHING
  if (!/^(?:802-3-)?ethernet$/.test(type)) return { expected: [], made: [name] }
  return valuesOf(sections, 'connection', 'autoconnect').includes('false') ? NOTHING : { expected: [name], made: [] }
}

/** *.network and *.netdev of systemd-networkd; a pattern expects nothing. */
export function namesInNetworkd(text: string): NamedInterfaces {
  const sections = parseSections(text)
  const matched = valuesOf(sections, 'Match', 'Name').flatMap(wordsOf)
  return { expected: matched.length === 1 ? matched.filter(name => !PATTERN.test(name)) : [], made: valuesOf(sections, 'NetDev', 'Name') }
}

/** netplan: a definition with "match" is a name of the file's own. */
export function namesInNetplan(text: string): NamedInterfaces {
  const doc: unknown = parseDocument(text).toJS()
  const expected: string[] = []
  const made: string[] = []
  for (const [kind, definitions] of entriesOf(at(doc, 'network'))) {
    for (const [id, definition] of entriesOf(definitions)) {
      if (kind === 'ethernets' && at(definition, 'match') === undefined) expected.push(id)
      else made.push(id)
      const members = at(definition, 'interfaces')
      if (Array.isArray(members)) expected.push(...members.filter(member => typeof member === 'string'))
      const link = at(definition, 'link')
      if (typeof link === 'string') expected.push(link)
    }
  }
  return { expected, made }
}

/** interfaces(5): members; those that it starts are looked at by the scan of references. */
export function namesInInterfaces(text: string): NamedInterfaces {
  const expected: string[] = []
  const made: string[] = []
  let name = ''
  for (const line of text.split('\n')) {
    const [keyword = '', ...words] = wordsOf(line.replace(/#.*$/, ''))
    if (keyword === 'iface') name = words[0] ?? ''
    if (!/^(?:bond[-_]slaves|slaves|bridge[-_]ports|vlan[-_]raw[-_]device)$/.test(keyword)) continue
    made.push(name)
    const pattern = words.indexOf('regex')
    expected.push(...(pattern < 0 ? words : words.slice(0, pattern)).filter(word => word !== 'none' && word !== 'all'))
  }
  return { expected, made }
}

/** Whether an interface of that name is no adapter, by custom or as an alias or VLAN of another. */
export function isVirtual(name: string): boolean {
  return /[.:@]|^(?:lo$|bond|br[\d-]|vlan|dummy|team|wg\d|tun|tap|virbr|docker|veth|ppp|sit)/.test(name)
}

function wordsOf(text: string): readonly string[] {
  return text.trim().split(/\s+/).filter(word => word !== '')
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>)[key] : undefined
}

function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
}
