/** The EFI system partition of the replica: where it is mounted, and which folder is the distribution's. */
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'

/** Where distributions mount it. */
export const ESP_MOUNTS = ['/boot/efi', '/efi', '/boot'] as const
/** Folders that a distribution has besides one of its own name. */
const VENDORS: Readonly<Record<string, readonly string[]>> = {
  rhel: ['redhat'], centos: ['centos', 'redhat'], ol: ['redhat', 'oracle'], almalinux: ['almalinux', 'redhat'], rocky: ['rocky', 'redhat'], amzn: ['amzn', 'redhat'], sles: ['sles', 'suse'], sled: ['sled', 'suse'],
  'opensuse-leap': ['opensuse'], 'opensuse-tumbleweed': ['opensuse'], sles_sap: ['sles', 'suse'],
}
const LOADERS = ['shimx64.efi', 'shim.efi', 'grubx64.efi', 'grub.efi']

export interface Esp { efi: ReplicaPath, vendor: ReplicaPath }

/** undefined when no mounted ESP holds a loader of a distribution. Names on FAT have no case. */
export async function espFolder(files: ReplicaFiles, osId: string): Promise<Esp | undefined> {
  for (const mount of ESP_MOUNTS) {
    const efi = await inFolder(files, mount, 'EFI')
    if (efi === undefined) continue
    const folders = (await files.names(efi)).filter(name => name.toLowerCase() !== 'boot')
    const wanted = [...VENDORS[osId] ?? [], osId]
    const ordered = [...wanted.flatMap(w => folders.filter(f => f.toLowerCase() === w)), ...folders]
    for (const folder of ordered) if (await loaderIn(files, `${efi}/${folder}`) !== undefined) return { efi, vendor: `${efi}/${folder}` }
  }
  return undefined
}

/** The loader that firmware without entries starts, where there is one already. */
export async function removableLoader(files: ReplicaFiles): Promise<ReplicaPath | undefined> {
  for (const mount of ESP_MOUNTS) {
    const efi = await inFolder(files, mount, 'EFI')
    const boot = efi === undefined ? undefined : await inFolder(files, efi, 'BOOT')
    const found = boot === undefined ? undefined : await inFolder(files, boot, 'BOOTX64.EFI')
    if (found !== undefined) return found
  }
  return undefined
}

/** The first loader of the folder, best first. */
export async function loaderIn(files: ReplicaFiles, folder: ReplicaPath): Promise<ReplicaPath | undefined> {
  for (const name of LOADERS) {
    const found = await inFolder(files, folder, name)
    if (found !== undefined) return found
  }
  return undefined
}

/** The entry of that name in whichever case. */
export async function inFolder(files: ReplicaFiles, folder: ReplicaPath, name: string): Promise<ReplicaPath | undefined> {
  const found = (await files.names(folder)).find(n => n.toLowerCase() === name.toLowerCase())
  return found === undefined ? undefined : `${folder}/${found}`
}
