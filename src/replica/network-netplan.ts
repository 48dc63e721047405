/** netplan's YAML, edited as a document: comments and all that is not touched stay. Pure. */
import { isMap, isScalar, isSeq, parseDocument, YAMLSeq, type Document, type YAMLMap } from 'yaml'
import { addressesOf, gatewayOf, withPrefix, type NetworkSettings } from '../domain/network-settings.ts'
import { fixUpFailed } from './fix-up.ts'

const KINDS = ['ethernets', 'bonds', 'bridges', 'vlans', 'dummy-devices'] as const
/** Lists of members, by the kind of interface that has them. */
const MEMBERS = [['bonds', 'interfaces'], ['bridges', 'interfaces']] as const

interface Definition { kind: (typeof KINDS)[number], id: string, map: YAMLMap }

/**
 * The definition of an adapter finds it by the MAC address alone, and by what else its name says: driver and name of the old hardware go.
 * @param mac the replica's; the text names it already where it named the source's
 * @throws {AppError} BOOT_FIXUP_FAILED when the text is no YAML
 */
export function bindNetplan(text: string, name: string, mac: string): string {
  const doc = parse(text)
  let changed = false
  for (const { id, map } of definitions(doc).filter(d => d.kind === 'ethernets')) {
    const match = map.get('match')
    if (!isMap(match) || (text1(map.get('set-name')) ?? id) !== name) continue
    const bound = text1(match.get('macaddress'))?.toLowerCase() === mac
    if (!bound && !match.has('driver') && !match.has('name')) continue
    if (bound && !match.has('driver') && !match.has('name')) continue
    if (!bound && match.has('macaddress')) continue // somebody's own choice
    match.set('macaddress', mac)
    match.delete('driver')
    match.delete('name')
    map.set('set-name', name)
    changed = true
  }
  return changed ? write(doc) : text
}

/** Whether the file defines the interface, and the one that has it as a member. */
export function inNetplan(text: string, name: string, macs: readonly string[]): { defined: boolean, master: string | undefined } {
  const doc = parse(text)
  const found = definitions(doc).find(d => isOf(d, name, macs))
  let master: string | undefined
  for (const [kind, key] of MEMBERS) {
    for (const { id, map } of definitions(doc).filter(d => d.kind === kind)) {
      const members = map.get(key)
      if (isSeq(members) && members.items.some(i => isScalar(i) && (i.value === name || i.value === found?.id))) master = id
    }
  }
  return { defined: found !== undefined, master }
}

export function readdressNetplan(text: string, name: string, macs: readonly string[], settings: NetworkSettings): string {
  const doc = parse(text)
  const found = definitions(doc).find(d => isOf(d, name, macs))
  if (found === undefined) return text
  const { map } = found
  const has6 = addressesOf(settings, 'inet6').length > 0
  for (const key of ['dhcp4-overrides', 'gateway4', 'gateway6']) map.delete(key)
  map.set('dhcp4', false)
  if (has6) {
    map.set('dhcp6', false)
    map.set('accept-ra', false)
    map.delete('dhcp6-overrides')
  }
  map.set('addresses', doc.createNode(settings.addresses.map(withPrefix)))
  const routes = map.get('routes')
  const kept = isSeq(routes) ? routes.items.filter(item => !isMap(item) || !['default', '0.0.0.0/0', '::/0', '0/0'].includes(text1(item.get('to')) ?? '')) : []
  const defaults = (['inet', 'inet6'] as const).flatMap(family => {
    const via = gatewayOf(settings, family)
    return via === undefined ? [] : [doc.createNode({ to: family === 'inet' ? '0.0.0.0/0' : '::/0', via })] // "default" is not known to the first versions
  })
  if (kept.length + defaults.length === 0) map.delete('routes')
  else {
    const list = new YAMLSeq()
    list.items = [...kept, ...defaults]
    map.set('routes', list)
  }
  if (settings.dns.length > 0) map.setIn(['nameservers', 'addresses'], doc.createNode([...settings.dns]))
  return write(doc)
}

/** The adapter's definition, and its name in bonds and bridges, are gone. */
export function withoutNetplan(text: string, name: string, macs: readonly string[]): string {
  const doc = parse(text)
  const found = definitions(doc).find(d => d.kind === 'ethernets' && isOf(d, name, macs))
  if (found === undefined) return text
  doc.deleteIn(['network', found.kind, found.id])
  for (const [kind, key] of MEMBERS) {
    for (const { map } of definitions(doc).filter(d => d.kind === kind)) {
      const members = map.get(key)
      if (isSeq(members)) members.items = members.items.filter(i => !(isScalar(i) && i.value === found.id))
    }
  }
  const left = doc.getIn(['network', found.kind])
  if (isMap(left) && left.items.length === 0) doc.deleteIn(['network', found.kind])
  return write(doc)
}

function parse(text: string): Document {
  const doc = parseDocument(text)
  if (doc.errors.length > 0) throw fixUpFailed(`a netplan file of the replica is no YAML: ${doc.errors[0]?.message.split('\n')[0] ?? ''}`)
  return doc
}

function write(doc: Document): string {
  return doc.toString({ lineWidth: 0, flowCollectionPadding: false })
}

function definitions(doc: Document): readonly Definition[] {
  return KINDS.flatMap(kind => {
    const maps = doc.getIn(['network', kind])
    if (!isMap(maps)) return []
    return maps.items.flatMap(({ key, value }): Definition[] => isScalar(key) && isMap(value) ? [{ kind, id: String(key.value), map: value }] : [])
  })
}

function isOf({ id, map }: Definition, name: string, macs: readonly string[]): boolean {
  const match = map.get('match')
  const mac = isMap(match) ? text1(match.get('macaddress'))?.toLowerCase() : undefined
  return text1(map.get('set-name')) === name || (map.get('set-name') === undefined && id === name) || (mac !== undefined && macs.includes(mac))
}

function text1(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
