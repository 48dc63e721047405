/** C10: /etc/crypttab names what is encrypted on the replica, and how it is unlocked there: by its passphrase. */
import type { ReplicaPlan } from '../domain/replica.ts'
import { bootFamilyOf } from './boot-family.ts'
import { DeviceReferences } from './device-references.ts'
import type { AssembledReplica, FixUp } from './fix-up.ts'

export const CRYPTTAB = '/etc/crypttab'
/** What unlocked the source's container: a TPM, a token, a key file, another slot. Its header has none of it. */
const OLD_KEYS = /^(?:tpm2-|fido2-|pkcs11-|keyfile-|keyscript=|key-slot=|keyslot=|token-timeout=|try-empty-password|header=|initramfs$)/

export const FIX_CRYPTTAB: FixUp = {
  id: 'C10', title: 'name the encrypted volumes so that they are found', required: true,
  fix: async ({ files, plan, workload }: AssembledReplica) => {
    const text = await files.text(CRYPTTAB)
    const early = bootFamilyOf(workload) === 'debian' ? openedForRoot(plan, 'early') : new Set<string>()
    if (text === undefined && early.size === 0) return []
    const { text: fixed, messages } = rewriteCrypttab(text ?? '', new DeviceReferences(plan, workload), early)
    if (fixed !== text) await files.write(CRYPTTAB, fixed)
    return messages
  },
}

/** Names of the containers without which the root is not found; `early`: also those of swap, from which a system may resume. Pure. */
export function openedForRoot({ volumes, volumeGroups = [] }: Pick<ReplicaPlan, 'volumes' | 'volumeGroups'>, which: 'needed' | 'early' = 'needed'): ReadonlySet<string> {
  const early = volumes.filter(({ volume }) => volume.mountPoint === '/' || volume.mountPoint === '/usr' || (which === 'early' && volume.fileSystem.type === 'swap'))
  const groups = new Set(early.map(v => v.logicalVolume?.group))
  const holding = volumeGroups.filter(g => groups.has(g.name)).flatMap(g => g.physicalVolumes)
  return new Set([...early, ...holding].flatMap(({ encryption }) => (encryption === undefined ? [] : [encryption.name])))
}

/**
 * Lines of containers that the replica has not become comments; the others name it by its UUID and ask for the passphrase. Pure.
 * @param early containers that the initramfs has to open and would not find by itself: Debian's asks the device mapper, which calls them by other names now
 */
export function rewriteCrypttab(text: string, references: DeviceReferences, early: ReadonlySet<string>): { text: string, messages: readonly string[] } {
  const messages: string[] = []
  const named = new Set<string>()
  const lines = text.split('\n').map(line => {
    const [name = '', device = '', key = 'none', given = ''] = line.trim().split(/\s+/)
    if (name === '' || name.startsWith('#') || device === '') return line
    const options = given.split(',').filter(o => o !== '' && o !== 'none')
    const told = /^(?:UUID=|\/dev\/disk\/by-uuid\/)"?([0-9A-Fa-f-]{36})"?$/.exec(device)?.[1]
    const uuid = told !== undefined && references.hasLuks(told) ? told : references.openedAs(name)
    if (uuid === undefined) {
      // swap with a new key at each start, too: fstab names the replica's own, and a device of the old hardware may be another one here, which would be written over
      messages.push(`${name} (${device}) is not encrypted on the replica; its line is a comment now`)
      return `# landfall: not encrypted any more: ${line}`
    }
    named.add(name)
    const kept = [...options.filter(o => !OLD_KEYS.test(o)), ...early.has(name) ? ['initramfs'] : []]
    const asks = key === '-' || key === 'none'
    if (asks && uuid === told && kept.join() === options.join()) return line
    if (!asks || options.some(o => o !== 'initramfs' && OLD_KEYS.test(o))) messages.push(`${name} is not unlocked by the old key any more: it asks for its passphrase`)
    return `${name} ${uuid === told ? device : `UUID=${uuid}`} none ${kept.length === 0 ? 'luks' : kept.join(',')}`
  })
  const added = [...early].filter(name => !named.has(name)).map(name => `${name} UUID=${references.openedAs(name) ?? ''} none luks,initramfs`)
  messages.push(...added.map(line => `added: ${line}`))
  const body = lines.join('\n')
  return { text: added.length === 0 ? body : `${body}${body === '' || body.endsWith('\n') ? '' : '\n'}${added.join('\n')}\n`, messages }
}
