/** C23: files that describe the old devices and addresses. */
import type { AssembledReplica, FixUp } from './fix-up.ts'

const DEVICE_CACHES = ['/etc/blkid.tab', '/etc/blkid.tab.old', '/etc/blkid', '/etc/lvm/cache/.cache']

export const REMOVE_CACHES: FixUp = {
  id: 'C23', title: 'remove caches of the old devices and addresses', required: false,
  fix: async ({ files }: AssembledReplica) => {
    const removed: string[] = []
    const leases = (await files.names('/var/lib/dhcp')).filter(n => n.endsWith('.leases')).map(n => `/var/lib/dhcp/${n}`)
    const nmLeases = (await files.names('/var/lib/NetworkManager')).filter(n => n.endsWith('.lease')).map(n => `/var/lib/NetworkManager/${n}`)
    const clientLeases = (await files.names('/var/lib/dhclient')).filter(n => n.endsWith('.leases') || n.endsWith('.lease')).map(n => `/var/lib/dhclient/${n}`)
    const packageCaches = (await files.names('/var/lib/rpm')).filter(n => /^__db[.]\d+$/.test(n)).map(n => `/var/lib/rpm/${n}`)
    for (const path of [...DEVICE_CACHES, ...leases, ...nmLeases, ...clientLeases, ...packageCaches]) if (await files.remove(path)) removed.push(`${path} removed`)
    return removed
  },
}
