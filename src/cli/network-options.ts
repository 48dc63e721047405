/** The flags that give adapters of the replica addresses of their own. */
import type { JobOptions } from '../domain/job.ts'
import { NetworkSettings } from '../domain/network-settings.ts'
import { AppError } from '../errors/app-error.ts'

const GIVEN = /^([0-9a-f]{2}(?::[0-9a-f]{2}){5})=(.+)$/i

interface AddressFlags { address: readonly string[], gateway: readonly string[], dns: readonly string[] }

/**
 * Adds them to the mapping of their adapter; one without a mapping has the default network.
 * @throws {AppError} REQUEST_INVALID for what is no MAC=VALUE, a gateway or name server without an address, an adapter without a network
 */
export function withAddresses(mapped: Pick<JobOptions, 'networks' | 'defaultNetwork'>, flags: AddressFlags): Pick<JobOptions, 'networks' | 'defaultNetwork'> {
  const addresses = byMac(flags.address, '--address', '192.0.2.7/24')
  const gateways = byMac(flags.gateway, '--gateway', '192.0.2.1')
  const dns = byMac(flags.dns, '--dns', '192.0.2.53')
  for (const mac of [...gateways.keys(), ...dns.keys()]) {
    if (!addresses.has(mac)) throw new AppError('REQUEST_INVALID', `the adapter ${mac} has a gateway or name server, but no --address`)
  }
  const networks = [...mapped.networks]
  for (const [mac, values] of addresses) {
    const parsed = NetworkSettings.safeParse({
      addresses: values.map(value => {
        const [address = '', length = ''] = value.split('/')
        return { family: address.includes(':') ? 'inet6' : 'inet', address, prefixLength: Number(length) }
      }),
      gateways: gateways.get(mac) ?? [], dns: dns.get(mac) ?? [],
    })
    if (!parsed.success) throw new AppError('REQUEST_INVALID', `the addresses of the adapter ${mac} are not understood: ${parsed.error.issues[0]?.message ?? ''} (an address is like 192.0.2.7/24, a gateway or name server like 192.0.2.1)`)
    const at = networks.findIndex(m => m.sourceMac === mac)
    const known = networks[at]
    if (known?.network === null) throw new AppError('REQUEST_INVALID', `the adapter ${mac} is discarded, it can have no --address`)
    const network = known?.network ?? mapped.defaultNetwork
    if (network === undefined) throw new AppError('REQUEST_INVALID', `the adapter ${mac} has an --address, but no --network`)
    networks.splice(at < 0 ? networks.length : at, at < 0 ? 0 : 1, { sourceMac: mac, network, settings: parsed.data })
  }
  return { ...mapped, networks }
}

function byMac(given: readonly string[], flag: string, example: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const value of given) {
    const match = GIVEN.exec(value)
    if (match?.[1] === undefined || match[2] === undefined) throw new AppError('REQUEST_INVALID', `${flag} needs MAC=VALUE like 52:54:00:12:34:56=${example}, not "${value}"`)
    const mac = match[1].toLowerCase()
    found.set(mac, [...found.get(mac) ?? [], match[2]])
  }
  return found
}
