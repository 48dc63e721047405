/** Under which names this machine can be reached. */
import { hostname, networkInterfaces } from 'node:os'

/** The configured names first, then the host's own name and addresses, each once; for the server's certificate. */
export function serverNames(publicNames: readonly string[]): string[] {
  const own = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []).map(({ address }) => address)
  // a scoped address (fe80::1%eth0) has no place in a certificate
  return [...new Set([...publicNames, hostname(), 'localhost', ...own.filter(address => !address.includes('%') && !address.startsWith('fe80:'))])]
}

/** The name to tell people: the first configured one, else the first address that is not this machine's inside. */
export function shownName(publicNames: readonly string[]): string {
  const outside = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []).find(({ internal, family }) => !internal && family === 'IPv4')
  return publicNames[0] ?? outside?.address ?? hostname()
}
