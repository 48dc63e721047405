/**
 * C14: kernel command lines name only devices that the replica has, wherever they are written: the defaults that menus are made from, the menus themselves,
 * entries of the Boot Loader Specification, GRUB's environment. A menu keeps what stands in it alone (grubby of Red Hat 7 writes nowhere else).
 */
import { DeviceReferences } from './device-references.ts'
import type { AssembledReplica, FixUp } from './fix-up.ts'
import { rewriteBlsEntry, rewriteEnvironment } from './bls.ts'
import { rewriteLegacyMenu } from './grub-legacy.ts'
import { rewriteMenu } from './grub-menu.ts'
import { rewriteCommandLine, rewriteGrubDefaults } from './kernel-command-line.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'

/** Of what is removed from a command line: what it named. */
type Rewrite = (text: string, references: DeviceReferences) => { text: string, messages: readonly string[] }

export const FIX_KERNEL_COMMAND_LINE: FixUp = {
  id: 'C14', title: 'name devices on the kernel command line so that they are found', required: true,
  fix: async ({ files, plan, workload }: AssembledReplica) => await rewritePlaces(files, await placesOf(files), new DeviceReferences(plan, workload)),
}

/** Menus of GRUB 2 that were made from other settings, or from a script of the source's own. @returns what was done */
export async function rewriteMenus(files: ReplicaFiles, references: DeviceReferences): Promise<readonly string[]> {
  return await rewritePlaces(files, await menusOf(files), references)
}

async function rewritePlaces(files: ReplicaFiles, places: readonly (readonly [ReplicaPath, Rewrite])[], references: DeviceReferences): Promise<readonly string[]> {
  const messages: string[] = []
  for (const [path, rewrite] of places) {
    const text = await files.text(path)
    if (text === undefined) continue
    const fixed = rewrite(text, references)
    if (fixed.text !== text) await files.write(path, fixed.text)
    messages.push(...[...new Set(fixed.messages)].map(m => `${path}: ${m}`)) // a menu has many entries
  }
  return messages
}

async function menusOf(files: ReplicaFiles): Promise<readonly (readonly [ReplicaPath, Rewrite])[]> {
  const folders = ['/boot/grub', '/boot/grub2', ...(await files.names('/boot/efi/EFI')).map(n => `/boot/efi/EFI/${n}`)]
  return folders.flatMap(folder => [`${folder}/grub.cfg`, `${folder}/custom.cfg`]).map(path => [path, rewriteMenu] as const)
}

/** Every file with a kernel command line, with what rewrites it. */
export async function placesOf(files: ReplicaFiles): Promise<readonly (readonly [ReplicaPath, Rewrite])[]> {
  const among = async (folder: ReplicaPath, ending: string): Promise<readonly ReplicaPath[]> => (await files.names(folder)).filter(n => n.endsWith(ending)).map(n => `${folder}/${n}`)
  const legacy: ReplicaPath[] = []
  // the one is often a link to the other
  for (const path of ['/boot/grub/grub.conf', '/boot/grub/menu.lst', ...(await files.names('/boot/efi/EFI')).map(n => `/boot/efi/EFI/${n}/grub.conf`)]) if (await files.kind(path, 'stay') === 'file') legacy.push(path)
  return [
    ...['/etc/default/grub', ...await among('/etc/default/grub.d', '.cfg'), '/etc/sysconfig/bootloader'].map(path => [path, rewriteGrubDefaults] as const),
    ['/etc/kernel/cmdline', (text, references) => { const r = rewriteCommandLine(text.trim(), references, 'ours'); return r.messages.length === 0 ? { text, messages: [] } : { text: `${r.text}\n`, messages: r.messages } }],
    ...(await among('/boot/loader/entries', '.conf')).map(path => [path, rewriteBlsEntry] as const),
    ...['/boot/grub2/grubenv', ...(await files.names('/boot/efi/EFI')).map(n => `/boot/efi/EFI/${n}/grubenv`)].map(path => [path, rewriteEnvironment] as const),
    ...await menusOf(files),
    ...legacy.map(path => [path, rewriteLegacyMenu] as const),
  ]
}
