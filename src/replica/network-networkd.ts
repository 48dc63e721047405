/** *.network files of systemd-networkd. Pure. */
import { addressesOf, gatewayOf, withPrefix, type NetworkSettings } from '../domain/network-settings.ts'
import { editNamed, joinSections, parseSections, valuesOf, type Section } from './ini-sections.ts'

/** Whether the file is for the interface: its [Match] names it or its MAC address; patterns count. */
export function isNetworkOf(text: string, name: string, macs: readonly string[]): boolean {
  const sections = parseSections(text)
  const names = valuesOf(sections, 'Match', 'Name').flatMap(v => v.split(/\s+/))
  const addresses = valuesOf(sections, 'Match', 'MACAddress').flatMap(v => v.split(/\s+/)).map(v => v.toLowerCase().replaceAll('-', ':'))
  if (names.length === 0 && addresses.length === 0) return false
  return (names.length === 0 || names.some(pattern => matches(pattern, name))) && (addresses.length === 0 || addresses.some(a => macs.includes(a)))
}

/** Whether it is for this one interface alone, so that changing it changes no other. */
export function isNetworkOfOne(text: string): boolean {
  const sections = parseSections(text)
  return [...valuesOf(sections, 'Match', 'Name'), ...valuesOf(sections, 'Match', 'MACAddress')].every(v => !/[*?[\s!]/.test(v))
}

export function masterInNetwork(text: string): string | undefined {
  const sections = parseSections(text)
  return [...valuesOf(sections, 'Network', 'Bond'), ...valuesOf(sections, 'Network', 'Bridge')][0]
}

export function readdressNetwork(text: string, settings: NetworkSettings): string {
  const sections = parseSections(text).filter(s => !isAddressSection(s) && !isDefaultRoute(s))
  const has6 = addressesOf(settings, 'inet6').length > 0
  const gateways = (['inet', 'inet6'] as const).flatMap(family => gatewayOf(settings, family) ?? [])
  const removed = settings.dns.length > 0 ? /^(?:Address|Gateway|DHCP|DNS)$/ : /^(?:Address|Gateway|DHCP)$/
  const lines = [
    'DHCP=no', ...settings.addresses.map(a => `Address=${withPrefix(a)}`), ...gateways.map(g => `Gateway=${g}`), ...settings.dns.map(d => `DNS=${d}`),
  ]
  const edited = editNamed(sections, 'Network', removed, lines)
  return joinSections(has6 ? editNamed(edited, 'Network', /^IPv6AcceptRA$/, ['IPv6AcceptRA=no']) : edited)
}

function isAddressSection({ name }: Section): boolean {
  return name === 'Address' || name === 'DHCP' || name === 'DHCPv4' || name === 'DHCPv6'
}

function isDefaultRoute(section: Section): boolean {
  if (section.name !== 'Route') return false
  const [destination] = valuesOf([section], 'Route', 'Destination')
  return destination === undefined || destination === '0.0.0.0/0' || destination === '::/0'
}

function matches(pattern: string, name: string): boolean {
  const expression = pattern.replace(/[.+^${}()|\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')
  try { return new RegExp(`^${expression}$`).test(name) } catch { return pattern === name }
}
