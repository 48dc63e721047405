/** Where each network stack of a Linux distribution keeps its configuration, on the replica. */
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'

export const RED_HAT = '/etc/sysconfig/network-scripts'
export const SUSE = '/etc/sysconfig/network'
export const KEYFILES = '/etc/NetworkManager/system-connections'
export const NETWORKD = '/etc/systemd/network'
export const UDEV_RULES = '/etc/udev/rules.d'
export const PERSISTENT_RULES = `${UDEV_RULES}/70-persistent-net.rules`

export interface NetworkFiles {
  redHat: readonly ReplicaPath[]
  suse: readonly ReplicaPath[]
  keyfiles: readonly ReplicaPath[]
  netplan: readonly ReplicaPath[]
  networkd: readonly ReplicaPath[]
  interfaces: readonly ReplicaPath[]
}

/** Backups that editors and packages leave are no configuration. */
const NO_CONFIGURATION = /(?:~|[.](?:bak|orig|old|rpmnew|rpmorig|rpmsave|scpmbackup|dpkg-(?:old|new|dist)|swp))$/

export async function findNetworkFiles(files: ReplicaFiles): Promise<NetworkFiles> {
  const among = async (folder: ReplicaPath, names: RegExp): Promise<readonly ReplicaPath[]> =>
    (await files.names(folder)).filter(n => names.test(n) && !NO_CONFIGURATION.test(n)).map(n => `${folder}/${n}`)
  return {
    redHat: await among(RED_HAT, /^ifcfg-(?!lo$)./), suse: await among(SUSE, /^ifcfg-(?!lo$|template)./), keyfiles: await among(KEYFILES, /^[^.]/),
    netplan: await among('/etc/netplan', /[.]ya?ml$/), networkd: await among(NETWORKD, /[.]network$/),
    interfaces: [...await files.kind('/etc/network/interfaces') === 'file' ? ['/etc/network/interfaces'] : [], ...await among('/etc/network/interfaces.d', /^[A-Za-z0-9_.-]+$/)],
  }
}

export function allOf({ redHat, suse, keyfiles, netplan, networkd, interfaces }: NetworkFiles): readonly ReplicaPath[] {
  return [...redHat, ...suse, ...keyfiles, ...netplan, ...networkd, ...interfaces]
}

/** What a rewriting of files gives: the message of each file that became another one. */
export async function rewriteAll(files: ReplicaFiles, paths: readonly ReplicaPath[], rewrite: (text: string, path: ReplicaPath) => string, message: (path: ReplicaPath) => string): Promise<readonly string[]> {
  const messages: string[] = []
  for (const path of paths) {
    const text = await files.text(path)
    if (text === undefined) continue
    const fixed = rewrite(text, path)
    if (fixed === text) continue
    await files.write(path, fixed)
    messages.push(message(path))
  }
  return messages
}

/** For a rewriting that reads characters: text of the replica is bytes, as Latin-1. */
export function asUtf8(rewrite: (text: string) => string): (text: string) => string {
  return text => {
    const decoded = Buffer.from(text, 'latin1').toString('utf8')
    const fixed = rewrite(decoded)
    return fixed === decoded ? text : Buffer.from(fixed, 'utf8').toString('latin1')
  }
}
