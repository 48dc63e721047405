/** C21, C23: files that describe the old devices, or that make first-boot programs believe in a new machine. */
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

/** A new platform looks like a new instance to cloud-init: it would make new SSH host keys, users and network settings. */
export const STOP_CLOUD_INIT: FixUp = {
  id: 'C21', title: 'keep cloud-init from setting the server up anew', required: true,
  fix: async ({ files }: AssembledReplica) => {
    if (await files.kind('/etc/cloud') !== 'directory' || await files.kind('/etc/cloud/cloud-init.disabled') !== undefined) return []
    await files.write('/etc/cloud/cloud-init.disabled', 'Disabled by the migration: this server has its identity already.\n')
    if (await files.kind('/etc/cloud/cloud.cfg.d') === 'directory') await files.write('/etc/cloud/cloud.cfg.d/99-landfall.cfg', 'network: {config: disabled}\n')
    return ['cloud-init is disabled: the server keeps its host keys, users and network settings']
  },
}
