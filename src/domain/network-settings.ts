/** What an adapter of the replica is to be called on its network, when that is not what the source says. */
import { z } from 'zod'

const Ip = z.union([z.ipv4(), z.ipv6()])

/** An address with the length of its network's prefix. */
export const ChosenAddress = z.strictObject({ family: z.enum(['inet', 'inet6']), address: Ip, prefixLength: z.number().int().min(1).max(128) })
  .refine(a => (a.family === 'inet6') === a.address.includes(':') && (a.family === 'inet6' || a.prefixLength <= 32), 'the address is not of its family, or its prefix is too long')
export type ChosenAddress = z.infer<typeof ChosenAddress>

/**
 * Replace all static addresses, gateways and DHCP settings of the adapter. In order: the first address is the primary one, and of each family only the first
 * gateway counts on Linux. IPv6 without a chosen address stays automatic where it was, and loses its static addresses. Without DNS servers those of the source stay.
 */
export const NetworkSettings = z.strictObject({
  addresses: z.array(ChosenAddress).min(1).max(32),
  gateways: z.array(Ip).max(8).default([]),
  dns: z.array(Ip).max(8).default([]),
})
export type NetworkSettings = z.infer<typeof NetworkSettings>

/** Of one family, in the order they were given. */
export function addressesOf(settings: NetworkSettings, family: ChosenAddress['family']): readonly ChosenAddress[] {
  return settings.addresses.filter(a => a.family === family)
}

/** The one gateway of a family that counts. */
export function gatewayOf(settings: NetworkSettings, family: ChosenAddress['family']): string | undefined {
  return settings.gateways.find(g => g.includes(':') === (family === 'inet6'))
}

/** "192.0.2.7/24" */
export function withPrefix({ address, prefixLength }: ChosenAddress): string {
  return `${address}/${String(prefixLength)}`
}

/** 24 is "255.255.255.0". */
export function netmask(prefixLength: number): string {
  return [0, 8, 16, 24].map(done => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefixLength - done)))).join('.')
}
