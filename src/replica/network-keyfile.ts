/** NetworkManager's keyfiles (*.nmconnection). Pure. */
import { addressesOf, gatewayOf, withPrefix, type NetworkSettings } from '../domain/network-settings.ts'
import { editNamed, joinSections, parseSections, valuesOf } from './ini-sections.ts'

const STATIC = /^(?:method|addresses|address\d*|gateway|dhcp-hostname|dhcp-client-id|dhcp-send-hostname)$/
const STATIC_AND_DNS = new RegExp(`${STATIC.source}|^(?:dns|ignore-auto-dns)$`)

/** Whether the profile is that of the interface: by its name, or by the MAC address that it had or has. */
export function isKeyfileOf(text: string, name: string, macs: readonly string[]): boolean {
  const sections = parseSections(text)
  const [named] = valuesOf(sections, 'connection', 'interface-name')
  if (named !== undefined && named !== '') return named === name
  return ['ethernet', '802-3-ethernet'].some(s => valuesOf(sections, s, 'mac-address').some(mac => macs.includes(mac.toLowerCase())))
}

/** Interface, or the UUID of the profile, that carries the addresses. */
export function masterInKeyfile(text: string): string | undefined {
  const sections = parseSections(text)
  return [...valuesOf(sections, 'connection', 'controller'), ...valuesOf(sections, 'connection', 'master')].find(v => v !== '')
}

/** Whether a profile is the one that `master` means. */
export function isMasterKeyfile(text: string, master: string): boolean {
  const sections = parseSections(text)
  return ['interface-name', 'uuid'].some(key => valuesOf(sections, 'connection', key).includes(master))
}

export function readdressKeyfile(text: string, settings: NetworkSettings): string {
  let sections = parseSections(text)
  for (const [family, section] of [['inet', 'ipv4'], ['inet6', 'ipv6']] as const) {
    const addresses = addressesOf(settings, family)
    const dns = settings.dns.filter(d => d.includes(':') === (family === 'inet6'))
    const [method = 'auto'] = valuesOf(sections, section, 'method')
    const gateway = gatewayOf(settings, family)
    // the gateway behind the first address is read by every version; "gateway" is not
    const manual = addresses.map((a, i) => `address${String(i + 1)}=${withPrefix(a)}${i === 0 && gateway !== undefined ? `,${gateway}` : ''}`)
    const without = method !== 'manual' ? method : family === 'inet' ? 'disabled' : 'ignore'
    const lines = addresses.length > 0 ? ['method=manual', ...manual] : [`method=${family === 'inet' ? 'disabled' : without}`]
    sections = editNamed(sections, section, settings.dns.length > 0 ? STATIC_AND_DNS : STATIC, [...lines, ...(dns.length > 0 && addresses.length > 0 ? [`dns=${dns.join(';')};`] : [])])
  }
  return joinSections(sections)
}

export function keyfileSwitchedOff(text: string): string {
  return joinSections(editNamed(parseSections(text), 'connection', /^autoconnect$/, ['autoconnect=false']))
}
